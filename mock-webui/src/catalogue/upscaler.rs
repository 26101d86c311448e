//! Upscalers, as recorded from 1.10.1.

use std::sync::LazyLock;

use serde_json::Value;

static UPSCALERS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/upscalers.json")).expect("the file is JSON")
});

/// The answer of `GET upscalers`.
pub(crate) fn upscalers_json() -> &'static Value {
    &UPSCALERS
}

/// Whether an upscaler has this name.
pub(crate) fn exists(name: &str) -> bool {
    UPSCALERS
        .as_array()
        .is_some_and(|list| list.iter().any(|upscaler| upscaler["name"] == name))
}

/// Ways to enlarge the latent picture in the second pass.
pub(crate) fn latent_modes() -> &'static [&'static str] {
    &[
        "Latent",
        "Latent (antialiased)",
        "Latent (bicubic)",
        "Latent (bicubic antialiased)",
        "Latent (nearest)",
        "Latent (nearest-exact)",
    ]
}
