//! Why a job has no result, whoever found out: one type for the handler, one table of codes.

mod code;

use std::borrow::Cow;

use runpod_sdk::storage::DownloadError;
use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError};
use serde_json::Value;

use crate::checks::NotApplied;
use crate::request::{PictureError, RequestError};
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
        }
    }

    /// An error of the SDK, which has a code of its own.
    fn of_the_sdk(&self) -> Option<&DownloadError> {
        match self {
            Self::Picture(PictureError::Download { source, .. }) => Some(source),
            _ => None,
        }
    }
}

impl IntoJobError for Failure {
    fn code(&self) -> ErrorCode {
        self.of_the_sdk()
            .map_or_else(|| self.explained().code().code(), IntoJobError::code)
    }

    fn class(&self) -> ErrorClass {
        self.of_the_sdk()
            .map_or_else(|| self.explained().code().class(), IntoJobError::class)
    }

    fn is_retryable(&self) -> bool {
        self.of_the_sdk().map_or_else(
            || self.explained().code().is_retryable(),
            IntoJobError::is_retryable,
        )
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        self.of_the_sdk()
            .map_or_else(|| self.explained().hint(), IntoJobError::hint)
    }

    fn details(&self) -> Option<Value> {
        self.explained().details()
    }
}
