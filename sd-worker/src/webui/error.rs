//! What can go wrong between a job and the WebUI, and what to do about it (`docs/protocol/webui-api.md` §10).

use std::time::Duration;

use runpod_sdk::context::CancelReason;
use serde_json::{Value, json};

use super::call::Call;
use super::ending::CutShort;
use super::fault::Fault;
use super::problem::Problem;
use super::{causes, suspect};
use crate::code::{Code, Explain};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebUiError {
    #[error("the WebUI accepts no connection: {reason}")]
    Unreachable { reason: String },
    #[error("the connection to the WebUI was lost after the request had been sent: {reason}")]
    Lost { reason: String },
    #[error("the picture was not done after {limit:?}{}", .seen.as_deref().map(|seen| format!(" ({seen})")).unwrap_or_default())]
    TooSlow { limit: Duration, seen: Option<String> },
    #[error("the render made no step for {after:?}{}", .seen.as_deref().map(|seen| format!(" ({seen})")).unwrap_or_default())]
    Stalled { after: Duration, seen: Option<String> },
    #[error("the WebUI could not be mended: {0}")]
    GivenUp(&'static str),
    #[error("the WebUI's answer can't be used: {why}{}", colon(.excerpt))]
    BadAnswer { why: String, excerpt: String },
    #[error("{}", .0)]
    Refused(Box<Refusal>),
    #[error("the pictures are not whole: {} by somebody else{}", .how.told(), .seen.as_deref().map(|seen| format!(" (last seen {seen})")).unwrap_or_default())]
    CutShort { how: CutShort, seen: Option<String> },
    #[error("the render was interrupted: {0}")]
    Interrupted(CancelReason),
}

/// An answer other than 200.
#[derive(Debug, thiserror::Error)]
#[error("{} (HTTP {status}){}", .fault.summary(), colon(&described(.problem, .mistakes)))]
pub(crate) struct Refusal {
    status: u16,
    fault: Fault,
    problem: Problem,
    /// What in the request explains it.
    mistakes: Vec<String>,
}

impl WebUiError {
    /// A request that got no whole answer.
    pub(super) fn from_transport(error: &reqwest::Error) -> Self {
        // Nothing of the request has left this process while the connection is not open.
        let reason = causes(error);
        if error.is_connect() {
            Self::Unreachable { reason }
        } else {
            Self::Lost { reason }
        }
    }

    /// The same of a render that has run, or may have: a proxy's answer says that it is unavailable, and what matters
    /// is that the picture is lost.
    pub(super) fn into_lost(self) -> Self {
        match self {
            Self::Lost { .. } => self,
            other => Self::Lost {
                reason: other.to_string(),
            },
        }
    }

    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        let problem = Problem::read(body);
        let fault = Fault::of(status, &problem);
        Self::Refused(Box::new(Refusal {
            status,
            fault,
            problem,
            mistakes: Vec::new(),
        }))
    }

    /// The same, once the request has been looked at: a 500 may be the request's fault.
    pub(super) fn about(mut self, call: &Call) -> Self {
        if let Self::Refused(refusal) = &mut self
            && refusal.fault == Fault::Other
        {
            refusal.mistakes = suspect::mistakes(call, &refusal.problem);
            if !refusal.mistakes.is_empty() {
                refusal.fault = Fault::Parameters;
            }
        }
        self
    }

    /// The HTTP status, if there was an answer other than 200.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }
}

impl Explain for WebUiError {
    fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::GivenUp(_) => Code::Unavailable,
            Self::Lost { .. } => Code::Lost,
            Self::TooSlow { .. } => Code::GenerationTimeout,
            Self::Stalled { .. } => Code::Stalled,
            Self::BadAnswer { .. } => Code::BadAnswer,
            Self::CutShort { .. } => Code::InterruptedElsewhere,
            Self::Interrupted(_) => Code::Interrupted,
            Self::Refused(refusal) => refusal.fault.code(),
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::GivenUp(_) => Some("send the job again; another worker takes it"),
            Self::Refused(refusal) => refusal.fault.hint(),
            _ => None,
        }
    }

    fn details(&self) -> Option<Value> {
        let Self::Refused(refusal) = self else { return None };
        let Refusal {
            status,
            problem,
            mistakes,
            ..
        } = refusal.as_ref();
        let mut details = json!({ "status": status });
        if !problem.exception.is_empty() {
            details["error"] = Value::from(problem.exception.as_str());
        }
        if let Some(fields) = &problem.fields {
            details["detail"] = fields.clone();
        } else if !problem.text.is_empty() {
            details["detail"] = Value::from(problem.text.as_str());
        }
        if !mistakes.is_empty() {
            details["mistakes"] = Value::from(mistakes.clone());
        }
        Some(details)
    }
}

/// The exception's class says more than nothing, and less than its text.
fn described(problem: &Problem, mistakes: &[String]) -> String {
    let told = match (problem.exception.as_str(), problem.text.as_str()) {
        ("" | "HTTPException", text) => text.to_owned(),
        (exception, "") => exception.to_owned(),
        (exception, text) => format!("{exception}: {text}"),
    };
    match mistakes {
        [] => told,
        mistakes => format!("{} ({told})", mistakes.join("; ")),
    }
}

fn colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

#[cfg(test)]
mod tests;
