//! Turns the error of any part into the job's error.

use std::borrow::Cow;

use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError, JobError};
use serde_json::{Map, Value};

use crate::cancelled::Cancelled;
use crate::checks::NotApplied;
use crate::code::Explain;
use crate::output::OutputError;
use crate::render::RenderError;
use crate::request::{PictureError, RequestError};
use crate::stream::StreamError;
use crate::supervisor::Health;
use crate::webui::WebUiError;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    #[error(transparent)]
    WebUi(#[from] WebUiError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// An error of the stream itself.
    #[error(transparent)]
    Stream(StreamError),
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Cancelled(error) => error.into(),
            StreamError::Render(error) => error.into(),
            StreamError::NotApplied(error) => error.into(),
            StreamError::Output(error) => error.into(),
            StreamError::NoPictures { .. } | StreamError::NoSeed | StreamError::NotJson(_) => {
                Self::Stream(error)
            }
        }
    }
}

impl Failure {
    /// The error that the caller gets. A failure of the WebUI has the last lines of its log, if the worker started it.
    /// `warnings` are the findings of the checks before the failure, which may explain it.
    pub(crate) fn report(self, health: &Health, warnings: Option<Value>) -> JobError {
        let is_of_the_webui = self.is_of_the_webui();
        let error = with_warnings(self.into_job_error(), warnings);
        if !is_of_the_webui || error.class() != ErrorClass::Backend {
            return error;
        }
        match health.log_tail() {
            Some(lines) if !lines.is_empty() => error.with_log_tail(lines),
            _ => error,
        }
    }

    /// Whether the WebUI took part in it, so that its log may explain it.
    fn is_of_the_webui(&self) -> bool {
        match self {
            Self::WebUi(_) | Self::Render(_) | Self::NotApplied(_) | Self::Stream(_) => true,
            Self::Cancelled(_) | Self::Request(_) | Self::Picture(_) | Self::Output(_) => false,
        }
    }

    fn explained(&self) -> &dyn Explain {
        match self {
            Self::Cancelled(error) => error,
            Self::Request(error) => error,
            Self::Picture(error) => error,
            Self::NotApplied(error) => error,
            Self::WebUi(error) => error,
            Self::Render(error) => error,
            Self::Output(error) => error,
            Self::Stream(error) => error,
        }
    }

    /// The verdict of the SDK's own error where there is one, else that of the table of codes.
    fn verdict(&self) -> Verdict {
        match self {
            Self::Picture(PictureError::Download { source, .. }) => Verdict::of(source),
            Self::Output(OutputError::Storage(source) | OutputError::Upload { source, .. }) => {
                Verdict::of(source)
            }
            _ => {
                let error = self.explained();
                let code = error.code();
                Verdict {
                    code: code.code(),
                    class: code.class(),
                    retryable: code.is_retryable(),
                    hint: error.hint(),
                }
            }
        }
    }
}

/// Adds the findings to the details.
fn with_warnings(error: JobError, warnings: Option<Value>) -> JobError {
    let Some(warnings) = warnings else { return error };
    let mut details = match error.details() {
        Some(Value::Object(details)) => details.clone(),
        _ => Map::new(),
    };
    details.insert("warnings".to_owned(), warnings);
    error.with_details(Value::Object(details))
}

/// Code, class, retryability and hint of a failure.
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
