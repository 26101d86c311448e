//! Upscalers: those of 1.10.1 as recorded, and of SD.Next those that its public source names.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::profile::Profile;

static UPSCALERS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/upscalers.json")).expect("the file is JSON")
});

/// Upscalers of SD.Next that need no file. It lists more, which were not recorded.
const OF_SD_NEXT: [&str; 16] = [
    "None",
    "Resize Nearest",
    "Resize Lanczos",
    "Resize Bicubic",
    "Resize Bilinear",
    "Resize Hamming",
    "Resize Box",
    "Resize Sharpfin MKS2021",
    "Resize Sharpfin Lanczos3",
    "Latent Nearest",
    "Latent Nearest exact",
    "Latent Area",
    "Latent Bilinear",
    "Latent Bicubic",
    "Latent Bilinear antialias",
    "Latent Bicubic antialias",
];

/// The answer of `GET upscalers`.
pub(crate) fn upscalers_json(profile: Profile) -> Value {
    if !profile.is_sd_next() {
        return UPSCALERS.clone();
    }
    let entry = |name| json!({ "name": name, "model_name": null, "model_path": null, "model_url": null, "scale": 4.0 });
    OF_SD_NEXT.into_iter().map(entry).collect()
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
