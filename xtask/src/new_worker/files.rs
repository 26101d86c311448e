//! The files of a new worker. They lie in `xtask/template`, where they can be read as what they are.

/// Path in the new folder, and its text with `{{…}}` where something is filled in.
pub(super) const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../../template/src/lib.rs.in")),
    ("src/main.rs", include_str!("../../template/src/main.rs.in")),
    (
        "tests/worker.rs",
        include_str!("../../template/tests/worker.rs.in"),
    ),
    ("test_input.json", include_str!("../../template/test_input.json")),
    ("README.md", include_str!("../../template/README.md.in")),
    ("Dockerfile", include_str!("../../template/Dockerfile.in")),
    (".dockerignore", include_str!("../../template/dockerignore")),
    (".gitignore", include_str!("../../template/gitignore")),
    (
        "rust-toolchain.toml",
        include_str!("../../template/rust-toolchain.toml.in"),
    ),
    (
        ".runpod/hub.json",
        include_str!("../../template/.runpod/hub.json.in"),
    ),
    (
        ".runpod/tests.json",
        include_str!("../../template/.runpod/tests.json"),
    ),
    (
        ".github/workflows/ci.yml",
        include_str!("../../template/.github/workflows/ci.yml"),
    ),
];

/// A text with its places filled in.
///
/// # Panics
///
/// If a place is left: then a file of the template names something that has no value.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let filled = values.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    });
    assert!(
        !filled.contains("{{"),
        "a place of the template is not filled in: {filled}"
    );
    filled
}
