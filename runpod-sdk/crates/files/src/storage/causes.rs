//! What lies beneath an error of an HTTP client.

use std::error::Error as StdError;

/// Looks for an error of one type among the causes, those within I/O errors included.
pub(super) fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
        {
            // An I/O error's source is that of what it wraps, not what it wraps.
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// An error and its causes in one line, each said once.
#[cfg(feature = "upload")]
pub(super) fn in_words(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        next = error.source();
    }
    words
}
