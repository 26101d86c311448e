//! Why a render has no picture.

use std::time::Duration;

use serde_json::Value;

use super::cut_short::CutShort;
use crate::cancelled::Cancelled;
use crate::code::{Code, Explain};
use crate::webui::WebUiError;

/// Why a render has no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error(transparent)]
    WebUi(#[from] WebUiError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("the picture was not done after {limit:?}{}", in_brackets("", .seen.as_deref()))]
    TooSlow { limit: Duration, seen: Option<String> },
    #[error("the render made no step for {after:?}{}", in_brackets("", .seen.as_deref()))]
    Stalled { after: Duration, seen: Option<String> },
    #[error("another client's render kept the WebUI busy for {limit:?}, and the job's own did not begin")]
    Behind { limit: Duration },
    #[error("the WebUI could not be mended: {0}")]
    GivenUp(&'static str),
    #[error("the pictures are not whole: {} by another client{}", .how.describe(), in_brackets("last seen ", .seen.as_deref()))]
    CutShort { how: CutShort, seen: Option<String> },
}

fn in_brackets(before: &str, seen: Option<&str>) -> String {
    seen.map(|seen| format!(" ({before}{seen})")).unwrap_or_default()
}

/// The WebUI was given up, for this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp(pub(super) &'static str);

impl From<GivenUp> for RenderError {
    fn from(GivenUp(why): GivenUp) -> Self {
        Self::GivenUp(why)
    }
}

impl Explain for RenderError {
    fn code(&self) -> Code {
        match self {
            Self::WebUi(error) => error.code(),
            Self::Cancelled(error) => error.code(),
            Self::TooSlow { .. } => Code::GenerationTimeout,
            Self::Stalled { .. } => Code::Stalled,
            Self::GivenUp(_) | Self::Behind { .. } => Code::Unavailable,
            Self::CutShort { .. } => Code::InterruptedElsewhere,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::WebUi(error) => error.own_hint(),
            Self::Cancelled(error) => error.own_hint(),
            Self::GivenUp(_) => Some("send the job again; another worker takes it"),
            Self::Behind { .. } => {
                Some("send the job again; find out who else uses this WebUI, its web page or its API")
            }
            Self::TooSlow { .. } | Self::Stalled { .. } | Self::CutShort { .. } => None,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::WebUi(error) => error.details(),
            _ => None,
        }
    }
}
