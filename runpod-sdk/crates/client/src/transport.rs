//! Requests to the endpoint: how they are sent, which are sent again, what an answer means.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use reqwest::{Response, Url};
use runpod_protocol::http::retry_after;
use runpod_protocol::{header, query};
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::retry::RetryPolicy;

/// Time a held request gets beyond what it asks the platform to wait.
const MARGIN: Duration = Duration::from_secs(30);
/// Characters of an answer's body kept in an error.
const EXCERPT: usize = 500;

/// How long requests may take or are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// A request that is not held.
    pub(crate) request: Duration,
    /// One long poll.
    pub(crate) poll: Duration,
    /// The interval between two questions for progress.
    pub(crate) progress: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_mins(1),
            poll: Duration::from_mins(1),
            progress: Duration::from_secs(1),
        }
    }
}

/// Whether a request may be sent again when it is unclear whether it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// Sending it again changes nothing.
    Harmless,
    /// It must not be carried out twice.
    Never,
    /// An answer lost on the way takes chunks with it; an error answer does not.
    UnlessAnswerLost,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct ApiCall<'a> {
    method: Method,
    path: &'a [&'a str],
    wait: Option<Duration>,
    body: Option<Bytes>,
    repeat: Repeat,
}

impl<'a> ApiCall<'a> {
    /// A question.
    pub(crate) fn get(path: &'a [&'a str]) -> Self {
        Self {
            method: Method::GET,
            path,
            wait: None,
            body: None,
            repeat: Repeat::Harmless,
        }
    }

    /// A command without a body that may be given twice.
    pub(crate) fn post(path: &'a [&'a str]) -> Self {
        Self {
            method: Method::POST,
            ..Self::get(path)
        }
    }

    /// A command that must not be carried out twice.
    pub(crate) fn once(path: &'a [&'a str], body: Option<Bytes>) -> Self {
        Self {
            body,
            repeat: Repeat::Never,
            ..Self::post(path)
        }
    }

    /// A question whose answer is given once.
    pub(crate) fn consuming(path: &'a [&'a str]) -> Self {
        Self {
            repeat: Repeat::UnlessAnswerLost,
            ..Self::get(path)
        }
    }

    /// Asks the platform to hold the request for up to `wait`.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

/// The connection to one endpoint.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    /// `None` for a server that has no ids.
    pub(crate) endpoint_id: Option<String>,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
    /// Whether the platform has turned out to have no `/status-sync`: today's documents do not mention it (§2).
    pub(crate) without_status_sync: AtomicBool,
}

/// Why one try gave no answer, and what the server asked for.
struct FailedTry {
    error: ClientError,
    retry_after: Option<Duration>,
}

impl Transport {
    /// Sends a request, again if it failed and may be repeated, and gives the body of its 200.
    pub(crate) async fn send(&self, call: ApiCall<'_>) -> Result<Bytes, ClientError> {
        let mut retries = self.retry.retries();
        loop {
            let FailedTry { error, retry_after } = match self.try_once(&call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if !may_repeat(&error, call.repeat) {
                return Err(error);
            }
            let Some(pause) = retries.next_pause(retry_after) else {
                return Err(error);
            };
            tracing::debug!(?pause, %error, "asking the endpoint again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(&self, call: &ApiCall<'_>) -> Result<Bytes, FailedTry> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.endpoint_id).extend(call.path);
        }
        let mut timeout = self.timeouts.request;
        if let Some(wait) = call.wait {
            url.query_pairs_mut()
                .append_pair(query::WAIT, &wait.as_millis().to_string());
            timeout = wait.saturating_add(MARGIN);
        }
        let mut request = self.http.request(call.method.clone(), url).timeout(timeout);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if call.method == Method::POST {
            let body = call.body.clone().unwrap_or_default();
            request = request.header(CONTENT_TYPE, header::JSON).body(body);
        }
        let response = request.send().await.map_err(|problem| FailedTry {
            error: if problem.is_connect() {
                ClientError::Connect(problem.into())
            } else {
                ClientError::AnswerLost(problem.into())
            },
            retry_after: None,
        })?;
        if response.status() == StatusCode::OK {
            let lost = |problem: reqwest::Error| FailedTry {
                error: ClientError::AnswerLost(problem.into()),
                retry_after: None,
            };
            return response.bytes().await.map_err(lost);
        }
        Err(self.refusal(call, response).await)
    }

    async fn refusal(&self, call: &ApiCall<'_>, response: Response) -> FailedTry {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let text = excerpt(&response.bytes().await.unwrap_or_default());
        let bytes = call.body.as_ref().map_or(0, Bytes::len);
        let error = match (status, call.path) {
            (StatusCode::UNAUTHORIZED, _) => ClientError::Unauthorized,
            (StatusCode::TOO_MANY_REQUESTS, _) => ClientError::RateLimited,
            (StatusCode::NOT_FOUND, [_, job]) => ClientError::JobNotFound((*job).into()),
            (StatusCode::NOT_FOUND, _) => {
                ClientError::EndpointNotFound(self.endpoint_id.clone().unwrap_or_else(|| call.path.join("/")))
            }
            (StatusCode::PAYLOAD_TOO_LARGE, _) => ClientError::TooLarge { bytes, text },
            (StatusCode::BAD_REQUEST, _) if text.contains("max body size") => {
                ClientError::TooLarge { bytes, text }
            }
            _ => ClientError::Status { status, text },
        };
        FailedTry { error, retry_after }
    }
}

/// Whether sending again can do no harm. The table is in the crate's docs.
fn may_repeat(error: &ClientError, repeat: Repeat) -> bool {
    match error {
        ClientError::Connect(_) | ClientError::RateLimited => true,
        ClientError::AnswerLost(_) => repeat == Repeat::Harmless,
        ClientError::Status { status, .. } => repeat != Repeat::Never && is_passing(*status),
        _ => false,
    }
}

/// Whether a server error may be over soon: all of them, those of the network's edge (520 to 530) too, but the two that
/// say that the server does not know the request.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && !matches!(status.as_u16(), 501 | 505)
}

/// Whether what an error reports may be over soon, so that the same question may still be answered.
pub(crate) fn is_outage(error: &ClientError) -> bool {
    may_repeat(error, Repeat::Harmless)
}

/// The beginning of a body, or the text of its `error` field.
fn excerpt(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Refusal { error }) => error,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Reads an answer's body.
pub(crate) fn parse<T: DeserializeOwned>(answer: &Bytes) -> Result<T, ClientError> {
    serde_json::from_slice(answer).map_err(ClientError::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> ClientError {
        ClientError::Status {
            status: StatusCode::from_u16(code).unwrap(),
            text: String::new(),
        }
    }

    #[test]
    fn a_submission_is_not_repeated_after_a_server_error() {
        for code in [500, 502, 503, 504, 520, 522, 524, 530] {
            assert!(may_repeat(&status(code), Repeat::Harmless));
            assert!(may_repeat(&status(code), Repeat::UnlessAnswerLost));
            assert!(!may_repeat(&status(code), Repeat::Never));
        }
        assert!(may_repeat(&ClientError::RateLimited, Repeat::Never));
    }

    #[test]
    fn refusals_are_final() {
        for error in [
            status(400),
            status(405),
            status(501),
            ClientError::Unauthorized,
            ClientError::JobNotFound("j".into()),
        ] {
            assert!(!may_repeat(&error, Repeat::Harmless), "{error}");
        }
    }

    #[test]
    fn an_error_text_is_taken_out_of_its_object_and_kept_short() {
        assert_eq!(excerpt(br#"{"error":"bad request"}"#), "bad request");
        assert_eq!(excerpt(b" <html> "), "<html>");
        assert_eq!(excerpt("ü".repeat(600).as_bytes()).chars().count(), EXCERPT + 1);
    }
}
