//! Requests to the storage: tries, and the reasons of failures.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use runpod_protocol::causes;
use runpod_protocol::http::retry_after;
use tracing::debug;

use crate::storage::egress::NotPublic;
use crate::storage::retry::{LONGEST_PAUSE, RetryPolicy};

/// The most bytes of an answer. The answers to uploads are far shorter.
const LONGEST_ANSWER: usize = 1 << 20;
/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 300;

/// Why a request failed at its last try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestFailure {
    #[error("{}", describe_answer(*status, code, message))]
    Refused {
        status: u16,
        code: String,
        message: String,
        /// The bucket's region, if the answer names it.
        region: Option<String>,
    },
    #[error("{reason}")]
    Broken {
        reason: String,
        attempts: u32,
        transient: bool,
    },
    #[error("no answer in time")]
    TimedOut { attempts: u32 },
    #[error(transparent)]
    Blocked(NotPublic),
}

/// An HTTP client that tries again.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    pub(super) client: reqwest::Client,
    pub(super) retry: RetryPolicy,
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Transport {
    // The form that `#[async_trait]` gives to an `async fn`.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> BoxFuture<'async_trait, Result<HttpResponse, HttpError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            // `object_store` does not try errors of an unknown kind again.
            let failed = |failure| HttpError::new(HttpErrorKind::Unknown, failure);
            self.send_with_retries(request).await.map_err(failed)
        })
    }
}

/// A try that failed.
struct FailedTry {
    failure: RequestFailure,
    retryable: bool,
    /// The pause that the storage asks for.
    retry_after: Option<Duration>,
}

impl Transport {
    async fn send_with_retries(&self, request: HttpRequest) -> Result<HttpResponse, RequestFailure> {
        let mut pauses = self.retry.pauses();
        let mut attempt = 1;
        loop {
            // The body is shared, not copied.
            let failed = match self.send_once(request.clone(), attempt).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if !failed.retryable || attempt >= self.retry.attempts {
                return Err(failed.failure);
            }
            // A longer pause is not waited for: the job is billed meanwhile.
            let asked = failed.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
            let pause = pauses.next_wait().max(asked);
            debug!(attempt, ?pause, failure = %failed.failure, method = %request.method(), "asking the storage again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, request: HttpRequest, attempts: u32) -> Result<HttpResponse, FailedTry> {
        let completes_upload = request.method() == Method::POST;
        // The address holds the signature.
        let broken = |error: reqwest::Error| transport_failure(&error.without_url(), attempts);
        let request = request.map(reqwest::Body::wrap);
        let request = reqwest::Request::try_from(request).map_err(broken)?;
        let mut response = self.client.execute(request).await.map_err(broken)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_ANSWER {
                let reason = "the answer is too long to be that of a storage".to_owned();
                return Err(FailedTry::broken(reason, attempts, false));
            }
        }
        let (head, ()) = http::Response::from(response).map(drop).into_parts();
        let text = String::from_utf8_lossy(&bytes);
        // The request that completes an upload in parts may fail after its 200 has been sent.
        let failed_late = completes_upload && head.status.is_success() && text.contains("<Error>");
        if head.status.is_success() && !failed_late {
            return Ok(HttpResponse::from_parts(head, bytes.freeze().into()));
        }
        let mut failed = error_answer(head.status, &text, failed_late, attempts);
        if let RequestFailure::Refused { region, .. } = &mut failed.failure {
            let header = head.headers.get("x-amz-bucket-region");
            let named = header.and_then(|region| region.to_str().ok()).map(str::to_owned);
            *region = element(&text, "Region")
                .or(named)
                .filter(|region| is_region(region));
        }
        failed.retry_after = retry_after(&head.headers);
        Err(failed)
    }
}

impl FailedTry {
    fn broken(reason: String, attempts: u32, transient: bool) -> Self {
        Self {
            failure: RequestFailure::Broken {
                reason,
                attempts,
                transient,
            },
            retryable: transient,
            retry_after: None,
        }
    }

    fn refused(failure: RequestFailure) -> Self {
        Self {
            failure,
            retryable: false,
            retry_after: None,
        }
    }
}

/// The failure in an answer. `failed_late` marks an error after a status of success.
fn error_answer(status: StatusCode, text: &str, failed_late: bool, attempts: u32) -> FailedTry {
    let code = element(text, "Code").unwrap_or_default();
    let message = match element(text, "Message") {
        Some(message) => message,
        None if code.is_empty() => shortened(text),
        None => String::new(),
    };
    let transient = failed_late
        || status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
        || code == "RequestTimeout";
    let status = status.as_u16();
    if transient {
        return FailedTry::broken(describe_answer(status, &code, &message), attempts, true);
    }
    FailedTry::refused(RequestFailure::Refused {
        status,
        code,
        message,
        region: None,
    })
}

/// Whether it is a name that a region can have, safe in a host.
fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The failure of a request that got no whole answer.
fn transport_failure(error: &reqwest::Error, attempts: u32) -> FailedTry {
    if let Some(address) = causes::find::<NotPublic>(error) {
        return FailedTry::refused(RequestFailure::Blocked(*address));
    }
    let is_slow = error.is_timeout()
        || causes::find::<std::io::Error>(error).is_some_and(|io| io.kind() == ErrorKind::TimedOut);
    if is_slow && !error.is_connect() {
        return FailedTry {
            failure: RequestFailure::TimedOut { attempts },
            retryable: true,
            retry_after: None,
        };
    }
    let transient = causes::find::<rustls::Error>(error).is_none();
    FailedTry::broken(causes::in_words(error), attempts, transient)
}

/// An answer of the storage in one line.
pub(super) fn describe_answer(status: u16, code: &str, message: &str) -> String {
    let mut line = format!("the storage answered {status}");
    for (before, text) in [(" ", code), (": ", message)] {
        if !text.is_empty() {
            line.push_str(before);
            line.push_str(text);
        }
    }
    line
}

/// The text of an XML element without elements of its own.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    Some(shortened(&plain))
}

/// `text` in one line of at most 300 characters.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_without_what_it_quotes_of_the_request() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature\n \
                   doesn&apos;t match</Message><StringToSign>secret</StringToSign></Error>";
        assert_eq!(element(xml, "Code").unwrap(), "SignatureDoesNotMatch");
        assert_eq!(element(xml, "Message").unwrap(), "The signature doesn't match");
        assert_eq!(element("<html>", "Code"), None);
        assert_eq!(shortened(&"x ".repeat(500)).chars().count(), LONGEST_MESSAGE + 1);
    }
}
