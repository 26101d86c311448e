//! What can go wrong between a job and the WebUI, whose mistake it is, and what to do about it
//! (`docs/protocol/webui-api.md` §10).

use std::borrow::Cow;
use std::time::Duration;

use runpod_sdk::{CancelReason, ErrorClass, ErrorCode, IntoJobError};
use serde_json::{Value, json};

use super::causes;
use super::problem::{Problem, Shape};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebUiError {
    #[error("input: expected an object, found {found}")]
    NotAnObject { found: &'static str },
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
    #[error("the render was interrupted: {0}")]
    Interrupted(CancelReason),
}

/// An answer other than 200.
#[derive(Debug, thiserror::Error)]
#[error("{} (HTTP {status}){}", .fault.summary(), colon(&described(.problem)))]
pub(crate) struct Refusal {
    status: u16,
    fault: Fault,
    problem: Problem,
}

/// What an error answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Parameters,
    Picture,
    OutOfMemory,
    Gpu,
    NoModel,
    Credentials,
    Route,
    Unavailable,
    Other,
}

impl Fault {
    fn of(status: u16, problem: &Problem) -> Self {
        let out_of_memory = problem.exception == "OutOfMemoryError" || problem.mentions("out of memory");
        match status {
            400 | 422 => Self::Parameters,
            404 if problem.shape == Shape::Application => Self::Parameters,
            // Forge's own errors have the framework's shape.
            404 if problem.shape == Shape::Detail && problem.text != "Not Found" => Self::Parameters,
            401 | 403 => Self::Credentials,
            429 | 502 | 503 | 504 => Self::Unavailable,
            500.. if out_of_memory => Self::OutOfMemory,
            500..
                if ["illegal memory access", "device-side assert", "cuda error"]
                    .iter()
                    .any(|words| problem.mentions(words)) =>
            {
                Self::Gpu
            }
            500.. if problem.mentions("no checkpoints found") => Self::NoModel,
            500..
                if ["invalid encoded image", "cannot identify image file"]
                    .iter()
                    .any(|words| problem.mentions(words)) =>
            {
                Self::Picture
            }
            500.. => Self::Other,
            // 405, a bare 404, redirects, and whatever no WebUI answers.
            _ => Self::Route,
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Self::Parameters => "the WebUI refused the parameters",
            Self::Picture => "the WebUI can't read a picture of the request",
            Self::OutOfMemory => "the GPU ran out of memory",
            Self::Gpu => "the GPU failed",
            Self::NoModel => "the WebUI has no model",
            Self::Credentials => "the WebUI refused the worker's credentials",
            Self::Route => "what answers at the WebUI's address does not know the route",
            Self::Unavailable => "the WebUI is not available",
            Self::Other => "the WebUI failed",
        }
    }
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

    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        let problem = Problem::read(body);
        let fault = Fault::of(status, &problem);
        Self::Refused(Box::new(Refusal {
            status,
            fault,
            problem,
        }))
    }

    /// The HTTP status, if there was an answer other than 200.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }
}

impl IntoJobError for WebUiError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotAnObject { .. } => ErrorCode::INVALID_INPUT,
            Self::Unreachable { .. } | Self::GivenUp(_) => ErrorCode::new("BACKEND_UNAVAILABLE"),
            Self::Lost { .. } => ErrorCode::new("BACKEND_LOST"),
            Self::TooSlow { .. } => ErrorCode::new("GENERATION_TIMEOUT"),
            Self::Stalled { .. } => ErrorCode::new("BACKEND_STALLED"),
            Self::BadAnswer { .. } => ErrorCode::new("BACKEND_BAD_ANSWER"),
            Self::Interrupted(_) => ErrorCode::new("INTERRUPTED"),
            Self::Refused(refusal) => match refusal.fault {
                Fault::Parameters => ErrorCode::new("INVALID_PARAMETERS"),
                Fault::Picture => ErrorCode::new("INVALID_PICTURE"),
                Fault::OutOfMemory => ErrorCode::new("GPU_OUT_OF_MEMORY"),
                Fault::Gpu => ErrorCode::new("GPU_FAILED"),
                Fault::NoModel | Fault::Credentials | Fault::Route => ErrorCode::new("BACKEND_MISCONFIGURED"),
                Fault::Unavailable => ErrorCode::new("BACKEND_UNAVAILABLE"),
                Fault::Other => ErrorCode::new("BACKEND_ERROR"),
            },
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NotAnObject { .. } | Self::TooSlow { .. } => ErrorClass::User,
            Self::Interrupted(_) => ErrorClass::Platform,
            Self::Refused(refusal) if matches!(refusal.fault, Fault::Parameters | Fault::Picture) => {
                ErrorClass::User
            }
            _ => ErrorClass::Backend,
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Stalled { .. }
            | Self::GivenUp(_)
            | Self::BadAnswer { .. }
            | Self::Interrupted(_) => true,
            Self::NotAnObject { .. } | Self::TooSlow { .. } => false,
            // A broken GPU is this worker's; another one may be well.
            Self::Refused(refusal) => matches!(refusal.fault, Fault::Unavailable | Fault::Gpu),
        }
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::NotAnObject { .. } => {
                "send {\"input\": {\"prompt\": …}} with the fields of /sdapi/v1/txt2img"
            }
            Self::Unreachable { .. } => {
                "send the job again; if it stays like this, look whether the WebUI runs"
            }
            Self::Lost { .. } => "send the job again; the WebUI may have been restarted, its log tells more",
            Self::TooSlow { .. } => "ask for fewer steps, a smaller picture or a smaller batch",
            Self::Stalled { .. } => "send the job again; --stall-after says how long a step may take",
            Self::GivenUp(_) => "send the job again; another worker takes it",
            Self::BadAnswer { .. } => "send the job again; look at what stands between worker and WebUI",
            Self::Interrupted(_) => return None,
            Self::Refused(refusal) => match refusal.fault {
                Fault::Parameters => "change the request as the message says",
                Fault::Picture => "send pictures as base64 of a PNG, JPEG or WebP file",
                Fault::OutOfMemory => "ask for a smaller picture or batch",
                Fault::Gpu => "send the job again; the WebUI of this worker has to be restarted",
                Fault::NoModel => "put a checkpoint into the WebUI's models/Stable-diffusion",
                Fault::Credentials => "set SD_WORKER_WEBUI_AUTH to what --api-auth was given",
                Fault::Route => "start the WebUI with --api, and check SD_WORKER_WEBUI_URL and its path",
                Fault::Unavailable => "send the job again",
                Fault::Other => "the WebUI's log tells more",
            },
        }))
    }

    fn details(&self) -> Option<Value> {
        let Self::Refused(refusal) = self else { return None };
        let Refusal { status, problem, .. } = refusal.as_ref();
        let mut details = json!({ "status": status });
        if !problem.exception.is_empty() {
            details["error"] = Value::from(problem.exception.as_str());
        }
        if let Some(fields) = &problem.fields {
            details["detail"] = fields.clone();
        } else if !problem.text.is_empty() {
            details["detail"] = Value::from(problem.text.as_str());
        }
        Some(details)
    }
}

/// The exception's class says more than nothing, and less than its text.
fn described(problem: &Problem) -> String {
    match (problem.exception.as_str(), problem.text.as_str()) {
        ("" | "HTTPException", text) => text.to_owned(),
        (exception, "") => exception.to_owned(),
        (exception, text) => format!("{exception}: {text}"),
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
mod tests {
    use super::*;

    /// Every error that was recorded from real servers.
    fn recorded_refusals() -> Vec<(String, u16, Vec<u8>)> {
        let mut found = Vec::new();
        for version in ["v1.10.1", "v1.10.1/auth", "v1.10.1/no-model", "v1.9.3"] {
            let folder = format!("{}/../tests/fixtures/webui/{version}", env!("CARGO_MANIFEST_DIR"));
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let response = &case["response"];
                let status = response["status"].as_u64().unwrap_or_default();
                let body = match (&response["json"], &response["text"]) {
                    (Value::Null, Value::String(text)) => text.clone().into_bytes(),
                    (json, _) => json.to_string().into_bytes(),
                };
                if status >= 400 {
                    let name = path.file_stem().unwrap().to_string_lossy();
                    found.push((format!("{version} {name}"), u16::try_from(status).unwrap(), body));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_recorded_refusal_has_its_verdict() {
        let verdicts: Vec<String> = recorded_refusals()
            .into_iter()
            .map(|(case, status, body)| {
                let error = WebUiError::refused(status, &body).into_job_error();
                let message = error.message().lines().next().unwrap_or_default().to_owned();
                format!("{case}\n    {} {:?}: {message}", error.code(), error.class())
            })
            .collect();
        insta::assert_snapshot!(verdicts.join("\n"));
    }

    #[test]
    fn every_error_tells_what_to_do() {
        for (case, status, body) in recorded_refusals() {
            let error = WebUiError::refused(status, &body).into_job_error();
            assert!(error.hint().is_some(), "{case}");
            assert_eq!(error.details().unwrap()["status"], status, "{case}");
        }
    }

    #[test]
    fn every_code_is_documented() {
        let text = String::new;
        let readme = include_str!("../../README.md");
        let refused = |status, body: &str| WebUiError::refused(status, body.as_bytes());
        for error in [
            WebUiError::NotAnObject { found: "a list" },
            WebUiError::Unreachable { reason: text() },
            WebUiError::Lost { reason: text() },
            WebUiError::TooSlow {
                limit: Duration::ZERO,
                seen: None,
            },
            WebUiError::Stalled {
                after: Duration::ZERO,
                seen: None,
            },
            WebUiError::GivenUp("the WebUI has died"),
            WebUiError::BadAnswer {
                why: text(),
                excerpt: text(),
            },
            WebUiError::Interrupted(CancelReason::ShuttingDown),
            refused(422, ""),
            refused(
                500,
                r#"{"error":"HTTPException","detail":"Invalid encoded image"}"#,
            ),
            refused(500, "CUDA out of memory"),
            refused(500, "CUDA error: device-side assert triggered"),
            refused(401, ""),
            refused(503, ""),
            refused(500, ""),
        ] {
            let class = serde_json::to_value(error.class()).unwrap();
            let row = format!(
                "| `{}` | {} | {} |",
                error.code(),
                class.as_str().unwrap(),
                if error.is_retryable() { "yes" } else { "no" }
            );
            assert!(readme.contains(&row), "{row}");
        }
    }
}
