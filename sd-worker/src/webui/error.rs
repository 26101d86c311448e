//! Errors of requests to the WebUI, and what to do about them (`docs/protocol/webui-api.md` §10).

use serde_json::{Value, json};

use super::call::Call;
use super::fault::Fault;
use super::not_pictures::not_pictures;
use super::problem::{Problem, Shape};
use super::{routes, suspect};
use crate::causes::causes;
use crate::code::{Code, Explain};

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebUiError {
    #[error("the WebUI accepts no connection: {reason}")]
    Unreachable { reason: String },
    #[error("the request cannot be sent: {reason}")]
    NotSent { reason: String },
    #[error("the connection to the WebUI was lost after the request had been sent: {reason}")]
    Lost { reason: String },
    #[error("the WebUI's answer can't be used: {why}{}", colon(.excerpt))]
    BadAnswer { why: String, excerpt: String },
    #[error("{}", no_pictures(.state, .mistakes))]
    NoPictures {
        /// What the WebUI's state says of the end; may be empty.
        state: String,
        /// The mistakes of the request that explain it.
        mistakes: Vec<String>,
    },
    #[error("{}", .0)]
    Refused(Box<Refusal>),
}

/// An answer that reports no success.
#[derive(Debug, thiserror::Error)]
#[error("{} (HTTP {status}){}", .fault.summary(), colon(&described(.problem, .mistakes, .route.as_deref())))]
pub(crate) struct Refusal {
    status: u16,
    fault: Fault,
    problem: Problem,
    /// The mistakes of the request that explain it.
    mistakes: Vec<String>,
    /// The route that the WebUI does not have.
    route: Option<String>,
    /// What is known beyond the hint of the fault.
    hint: Option<&'static str>,
}

impl WebUiError {
    /// The error of a request that got no complete answer.
    pub(super) fn from_transport(error: &reqwest::Error) -> Self {
        let reason = causes(error);
        if error.is_builder() {
            // It is no request that HTTP can carry.
            Self::NotSent { reason }
        } else if error.is_connect() {
            // A connection that did not open has carried no byte of the request.
            Self::Unreachable { reason }
        } else {
            Self::Lost { reason }
        }
    }

    /// This error for a render that has run, or may have run: whatever a proxy answered, the picture is lost.
    pub(crate) fn to_lost(&self) -> Self {
        let reason = match self {
            Self::Lost { reason } => reason.clone(),
            other => other.to_string(),
        };
        Self::Lost { reason }
    }

    /// The error of an answer that reports no success.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        let problem = Problem::read(body);
        let fault = Fault::of(status, &problem);
        Self::Refused(Box::new(Refusal {
            status,
            fault,
            problem,
            mistakes: Vec::new(),
            route: None,
            hint: None,
        }))
    }

    /// Whether it is a failure of which the answer says nothing: Forge's plain text, or an empty body.
    pub(crate) fn is_unexplained(&self) -> bool {
        let Self::Refused(refusal) = self else {
            return false;
        };
        let Refusal { status, problem, .. } = refusal.as_ref();
        let says_nothing =
            problem.text.is_empty() || problem.text.eq_ignore_ascii_case("internal server error");
        *status == 500 && problem.shape == Shape::Other && says_nothing
    }

    /// Explains it by the exception that the WebUI has logged.
    pub(crate) fn explain_by(&mut self, class: String, text: &str, call: &Call) {
        let Self::Refused(refusal) = self else { return };
        let problem = Problem::logged(class, text);
        refusal.fault = Fault::of(refusal.status, &problem);
        refusal.problem = problem;
        refusal.explain(call);
    }

    /// This error with what the request explains of it: a 500 may be the request's fault, and so may a 404.
    pub(super) fn about(mut self, call: &Call) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.explain(call);
        }
        self
    }

    /// The HTTP status of an answer that reports no success.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }
}

impl Refusal {
    /// Adds what the request explains of it.
    fn explain(&mut self, call: &Call) {
        match self.fault {
            Fault::Other | Fault::MixedModels => {
                self.mistakes = suspect::mistakes(call, &self.problem);
                if !self.mistakes.is_empty() {
                    self.hint = self.fault.hint();
                    self.fault = Fault::Parameters;
                }
            }
            Fault::Picture => self.mistakes = not_pictures(call),
            Fault::Route if matches!(self.status, 404 | 405) && !routes::is_everywhere(&call.route) => {
                self.fault = Fault::NoRoute;
                self.hint = routes::where_it_is(&call.route);
                self.route = Some(format!("{} {}", call.method, call.route));
            }
            _ => {}
        }
    }
}

impl Explain for WebUiError {
    fn code(&self) -> Code {
        match self {
            Self::NotSent { .. } => Code::InvalidInput,
            Self::Unreachable { .. } => Code::Unavailable,
            Self::Lost { .. } => Code::Lost,
            Self::NoPictures { mistakes, .. } if !mistakes.is_empty() => Code::InvalidParameters,
            Self::BadAnswer { .. } | Self::NoPictures { .. } => Code::BadAnswer,
            Self::Refused(refusal) => refusal.fault.code(),
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => refusal.hint.or(refusal.fault.hint()),
            Self::NoPictures { mistakes, .. } if mistakes.is_empty() => {
                Some("the WebUI's log tells more: it may have no model, or not enough memory for the picture")
            }
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
        if problem.is_logged {
            details["from_log"] = Value::from(true);
        }
        if !mistakes.is_empty() {
            details["mistakes"] = Value::from(mistakes.clone());
        }
        Some(details)
    }
}

/// The text of an error answer, with the exception's class where that adds something, and with the mistakes.
fn described(problem: &Problem, mistakes: &[String], route: Option<&str>) -> String {
    let text = match (problem.exception.as_str(), problem.text.as_str()) {
        ("" | "HTTPException", text) => text.to_owned(),
        (exception, "") => exception.to_owned(),
        (exception, text) => format!("{exception}: {text}"),
    };
    match (mistakes, route) {
        ([], None) => text,
        ([], Some(route)) => format!("{route} ({text})"),
        (mistakes, _) if text.is_empty() => mistakes.join("; "),
        (mistakes, _) => format!("{} ({text})", mistakes.join("; ")),
    }
}

fn no_pictures(state: &str, mistakes: &[String]) -> String {
    let text = "the WebUI answered, but with no pictures";
    match mistakes {
        [] if state.is_empty() => text.to_owned(),
        [] => format!("{text}: the render failed, and {state}"),
        mistakes => format!("{text}: {}", mistakes.join("; ")),
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
