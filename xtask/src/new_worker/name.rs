//! Which names a new worker may have: those of a cargo package that can be a program and a library.

use std::str::FromStr;

/// The name of the package, the program and the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Names that mean something else to the compiler or to cargo.
const TAKEN: [&str; 16] = [
    "alloc",
    "build",
    "core",
    "crate",
    "deps",
    "examples",
    "incremental",
    "proc_macro",
    "self",
    // What the new worker depends on.
    "serde",
    "serde_json",
    "std",
    "super",
    "test",
    "tokio",
    "tracing",
];

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as Rust code has it.
    pub(super) fn crate_name(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(fits) {
            return Err(
                "write a name such as my-worker: small letters, digits, - and _, a letter first".to_owned(),
            );
        }
        let as_code = text.replace('-', "_");
        if TAKEN.contains(&as_code.as_str())
            || as_code == "runpod_sdk"
            || syn::parse_str::<syn::Ident>(&as_code).is_err()
        {
            return Err(format!("{text} means something else to Rust; try {text}-worker"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_cargo_and_rust() {
        let name: Name = "my-worker2".parse().unwrap();
        assert_eq!(
            (name.as_str(), name.crate_name()),
            ("my-worker2", "my_worker2".to_owned())
        );
        for bad in ["", "2fast", "My-Worker", "a b", "../up", "a/b", "wörker"] {
            assert!(bad.parse::<Name>().unwrap_err().contains("my-worker"), "{bad}");
        }
        for taken in ["test", "core", "async", "fn", "runpod-sdk", "tokio", "serde-json"] {
            assert!(
                taken
                    .parse::<Name>()
                    .unwrap_err()
                    .contains("means something else"),
                "{taken}"
            );
        }
    }
}
