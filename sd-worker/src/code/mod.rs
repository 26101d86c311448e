//! Error codes, and what every error type says of itself beside its message.
//!
//! Each error type of the crate implements [`Explain`] where it is defined. [`crate::failure`] turns any of them into
//! the job's error.

mod table;

use std::borrow::Cow;

use serde_json::Value;

pub(crate) use table::Code;

/// What a caller learns of an error beside its message.
pub(crate) trait Explain {
    /// The code, which decides class and retryability.
    fn code(&self) -> Code;

    /// A hint that says more than the code's.
    fn own_hint(&self) -> Option<&'static str> {
        None
    }

    /// What the caller can do about it.
    fn hint(&self) -> Option<Cow<'static, str>> {
        self.own_hint().or(self.code().hint()).map(Cow::Borrowed)
    }

    /// Facts for programs.
    fn details(&self) -> Option<Value> {
        None
    }
}
