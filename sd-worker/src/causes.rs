//! The causes of an error as one line of text.

use std::error::Error;

/// The messages of all causes of `error`, joined by colons.
///
/// The error's own message is used only where it has no cause: an HTTP client's message repeats the URL and says
/// nothing else.
pub(crate) fn causes(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |source| (*source).source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    if texts.is_empty() {
        error.to_string()
    } else {
        texts.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] std::fmt::Error);

    #[test]
    fn causes_are_joined_and_an_error_without_one_speaks_for_itself() {
        let error = Outer(Inner(std::fmt::Error));
        assert_eq!(causes(&error), format!("inner: {}", std::fmt::Error));
        assert_eq!(causes(&std::fmt::Error), std::fmt::Error.to_string());
    }
}
