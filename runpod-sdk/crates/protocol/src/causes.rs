//! The sources of an error: as a sequence, by type, and in words.

use std::error::Error as StdError;
use std::io;

/// The error itself, then its source, that source's source, and so on.
pub fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The first error of type `T` in the chain.
///
/// An I/O error is searched inside, too: its `source` skips the error that it wraps.
pub fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |&error| wrapped(error).or_else(|| error.source()))
        .find_map(|error| error.downcast_ref())
}

/// The error inside an I/O error.
fn wrapped<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner: &(dyn StdError + Send + Sync + 'static) = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner)
}

/// The chain in one line, its parts joined by `: `. A part that the line already contains is left out.
pub fn in_words(error: &(dyn StdError + 'static)) -> String {
    let mut words = String::new();
    for text in chain(error).map(ToString::to_string) {
        if words.is_empty() {
            words = text;
        } else if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<dyn StdError + Send + Sync>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1
                .as_deref()
                .map(|source| source as &(dyn StdError + 'static))
        }
    }

    fn parse_error() -> std::num::ParseIntError {
        "x".parse::<u8>().unwrap_err()
    }

    #[test]
    fn a_cause_is_found_inside_an_io_error() {
        let error = Layer("outer", Some(Box::new(io::Error::other(parse_error()))));
        assert_eq!(find::<std::num::ParseIntError>(&error), Some(&parse_error()));
        assert!(find::<fmt::Error>(&error).is_none());
    }

    #[test]
    fn each_cause_is_in_the_words_once() {
        let inner = Layer("inner", None);
        let repeats = Layer("middle: inner", Some(Box::new(inner)));
        let outer = Layer("outer", Some(Box::new(repeats)));
        assert_eq!(in_words(&outer), "outer: middle: inner");
    }
}
