//! Why a job has no result, whoever found out: one type for the handler, one table of codes.

mod code;

use std::borrow::Cow;

use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError};
use serde_json::Value;

use crate::request::RequestError;
use crate::webui::WebUiError;

pub(crate) use code::Code;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Request(#[from] RequestError),
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
            Self::WebUi(error) => error,
        }
    }
}

impl IntoJobError for Failure {
    fn code(&self) -> ErrorCode {
        self.explained().code().code()
    }

    fn class(&self) -> ErrorClass {
        self.explained().code().class()
    }

    fn is_retryable(&self) -> bool {
        self.explained().code().is_retryable()
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        self.explained().hint()
    }

    fn details(&self) -> Option<Value> {
        self.explained().details()
    }
}
