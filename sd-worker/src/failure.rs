//! Why a job has no result: the errors of all parts as one type, and how each becomes the job's error.

use std::borrow::Cow;

use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError};
use serde_json::Value;

use crate::checks::NotApplied;
use crate::code::Explain;
use crate::output::OutputError;
use crate::request::{PictureError, RequestError};
use crate::stream::StreamError;
use crate::webui::WebUiError;

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

    /// Whether the WebUI's log may show the cause.
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

/// What a job's error says beside its message: for the SDK's errors by themselves, for ours by the table of codes.
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
