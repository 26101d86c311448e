//! JSON as Python reads and writes it.
//!
//! Clients see two habits of the real program that other JSON libraries do not share: floats keep their
//! `.0` and use Python's exponent form, and the `info` string has blanks after its separators and only
//! ASCII characters. Errors of the decoder are part of the API, too: they are sent back word for word.

mod decode;
mod encode;

pub(crate) use decode::{SyntaxError, parse};
pub(crate) use encode::{compact, float, python_str, quote, spaced};
