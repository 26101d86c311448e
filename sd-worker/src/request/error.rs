//! Why an input is refused.

use std::borrow::Cow;

use crate::code::{Code, Explain};

/// Why an input is refused. Nothing is sent then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("input: expected an object, found {found}")]
    NotAnObject { found: &'static str },
    #[error("input.{path}: {why}")]
    Form { path: Cow<'static, str>, why: String },
    #[error("input.api.endpoint: {} {route} is not passed on{}", .method, .why.text())]
    Refused {
        method: String,
        route: String,
        why: RefusalReason,
    },
}

/// Why a route is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// It would end the WebUI, or change it for all jobs.
    Dangerous,
    /// It would stop the current render, also that of another job.
    OtherJobs,
    /// The worker does not know the route.
    Unknown,
    /// The route takes this method.
    WrongMethod(&'static str),
}

impl RefusalReason {
    fn text(self) -> &'static str {
        match self {
            Self::Dangerous => ": it would stop the WebUI or change it for all jobs",
            Self::OtherJobs => ": it would stop whatever renders, also another job's picture",
            Self::Unknown => ": the worker does not know this route",
            Self::WrongMethod("GET") => ": this route takes GET",
            Self::WrongMethod(_) => ": this route takes POST",
        }
    }
}

impl Explain for RequestError {
    fn code(&self) -> Code {
        match self {
            Self::NotAnObject { .. } | Self::Form { .. } => Code::InvalidInput,
            Self::Refused { .. } => Code::RouteRefused,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::Form { .. } => Some(
                "send {\"input\": {\"api\": {\"method\": \"POST\", \"endpoint\": \"/sdapi/v1/txt2img\"}, \"payload\": {…}}}",
            ),
            Self::Refused {
                why: RefusalReason::OtherJobs,
                ..
            } => Some("cancel the job instead: that stops its render"),
            Self::Refused {
                why: RefusalReason::WrongMethod(_),
                ..
            } => Some("change api.method"),
            Self::NotAnObject { .. } | Self::Refused { .. } => None,
        }
    }
}
