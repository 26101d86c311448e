//! Why a stream ends early.

use serde_json::Value;

use crate::cancelled::Cancelled;
use crate::checks::NotApplied;
use crate::code::{Code, Explain};
use crate::output::{NotAPicture, OutputError};
use crate::render::RenderError;

/// Why a stream ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the WebUI's answer has no pictures to stream{}", in_their_place(.found))]
    NoPictures {
        /// What stands in the place of pictures.
        found: Vec<NotAPicture>,
    },
    #[error("the WebUI's answer does not say which seed was used, so the next picture cannot be asked for")]
    NoSeed,
    #[error("a picture could not be written as a chunk: {0}")]
    NotJson(serde_json::Error),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    #[error(transparent)]
    Output(#[from] OutputError),
}

fn in_their_place(found: &[NotAPicture]) -> String {
    let found: Vec<String> = found.iter().map(NotAPicture::to_string).collect();
    if found.is_empty() {
        String::new()
    } else {
        format!("; in their place it has, {}", found.join("; "))
    }
}

impl Explain for StreamError {
    fn code(&self) -> Code {
        match self {
            Self::NoPictures { .. } | Self::NoSeed | Self::NotJson(_) => Code::BadAnswer,
            Self::Cancelled(error) => error.code(),
            Self::Render(error) => error.code(),
            Self::NotApplied(error) => error.code(),
            Self::Output(error) => error.code(),
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPictures { .. } | Self::NoSeed | Self::NotJson(_) => {
                Some("send the job without worker.stream to see the whole answer")
            }
            Self::Cancelled(error) => error.own_hint(),
            Self::Render(error) => error.own_hint(),
            Self::NotApplied(error) => error.own_hint(),
            Self::Output(error) => error.own_hint(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NoPictures { .. } | Self::NoSeed | Self::NotJson(_) => None,
            Self::Cancelled(error) => error.details(),
            Self::Render(error) => error.details(),
            Self::NotApplied(error) => error.details(),
            Self::Output(error) => error.details(),
        }
    }
}
