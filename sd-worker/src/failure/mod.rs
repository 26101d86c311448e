//! Why a job has no result, whoever found out: one type for the handler, one table of codes.

mod code;

use std::borrow::Cow;

use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError};
use serde_json::Value;

use crate::checks::NotApplied;
use crate::output::OutputError;
use crate::request::{PictureError, RequestError};
use crate::stream::StreamError;
use crate::webui::WebUiError;

pub(crate) use code::Code;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    #[error(transparent)]
    WebUi(#[from] WebUiError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// What is known of a failure beside its message.
pub(crate) trait Explain {
    fn code(&self) -> Code;

    /// What the caller can do about it.
    fn hint(&self) -> Option<Cow<'static, str>>;

    /// Anything a program may want to read.
    fn details(&self) -> Option<Value> {
        None
    }
}

impl Failure {
    fn explained(&self) -> &dyn Explain {
        match self {
            Self::Request(error) => error,
            Self::Picture(error) => error,
            Self::NotApplied(error) => error,
            Self::WebUi(error) => error,
            Self::Output(error) => error,
            Self::Stream(error) => error,
        }
    }

    /// Whether the WebUI had to do with it, so that its log may tell why.
    pub(crate) fn is_of_the_webui(&self) -> bool {
        matches!(self, Self::WebUi(_) | Self::NotApplied(_) | Self::Stream(_))
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Picture(PictureError::Download { source, .. }) => Verdict::of(source),
            Self::Output(OutputError::Storage(source) | OutputError::Upload { source, .. }) => {
                Verdict::of(source)
            }
            _ => {
                let (code, hint) = (self.explained().code(), self.explained().hint());
                Verdict {
                    code: code.code(),
                    class: code.class(),
                    retryable: code.is_retryable(),
                    hint,
                }
            }
        }
    }
}

/// What the SDK's errors know of themselves, and ours by the table.
struct Verdict {
    code: ErrorCode,
    class: ErrorClass,
    retryable: bool,
    hint: Option<Cow<'static, str>>,
}

impl Verdict {
    fn of(error: &impl IntoJobError) -> Self {
        Self {
            code: error.code(),
            class: error.class(),
            retryable: error.is_retryable(),
            hint: error.hint(),
        }
    }
}

impl IntoJobError for Failure {
    fn code(&self) -> ErrorCode {
        self.verdict().code
    }

    fn class(&self) -> ErrorClass {
        self.verdict().class
    }

    fn is_retryable(&self) -> bool {
        self.verdict().retryable
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        self.verdict().hint
    }

    fn details(&self) -> Option<Value> {
        self.explained().details()
    }
}
