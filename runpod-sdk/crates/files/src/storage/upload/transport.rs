//! Requests to the storage: tries, and what went wrong in words of our own.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use tracing::debug;

use crate::storage::causes::{cause, in_words};
use crate::storage::reach::NotPublic;
use runpod_protocol::backoff::Backoff;
use runpod_protocol::http::retry_after;

/// The longest pause between two tries, whoever asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of an answer. None that belongs to an upload is near it.
const LONGEST_ANSWER: usize = 1 << 20;
/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 300;

/// Why a request failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{}", said(*status, code, message))]
    Refused {
        status: u16,
        code: String,
        message: String,
    },
    #[error("{reason}")]
    Broken {
        reason: String,
        attempts: u32,
        passing: bool,
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
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Transport {
    // What `#[async_trait]` makes of an `async fn`.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> BoxFuture<'async_trait, Result<HttpResponse, HttpError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            // Of the unknown kind, which is not tried again by anybody else.
            let failed = |failure| HttpError::new(HttpErrorKind::Unknown, failure);
            self.tries(request).await.map_err(failed)
        })
    }
}

/// How one try failed.
struct Try {
    failure: Failure,
    again: bool,
    asked: Option<Duration>,
}

impl Transport {
    async fn tries(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let mut pauses = Backoff::half_jitter(self.first_pause, LONGEST_PAUSE, fastrand::Rng::new());
        let mut attempt = 1;
        loop {
            // The body is counted, not copied.
            let Try {
                failure,
                again,
                asked,
            } = match self.once(request.clone(), attempt).await {
                Ok(response) => return Ok(response),
                Err(tried) => tried,
            };
            if !again || attempt >= self.attempts {
                return Err(failure);
            }
            let pause = pauses
                .next_wait()
                .max(asked.unwrap_or_default().min(LONGEST_PAUSE));
            debug!(attempt, ?pause, %failure, method = %request.method(), "asking the storage again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn once(&self, request: HttpRequest, attempts: u32) -> Result<HttpResponse, Try> {
        let completes = request.method() == Method::POST;
        let broken = |error: HttpError| broken(&error, attempts);
        let response = HttpService::call(&self.client, request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let mut bytes = BytesMut::new();
        let mut pieces = body.bytes_stream();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(broken)?);
            if bytes.len() > LONGEST_ANSWER {
                let reason = "the answer is too long to be that of a storage".to_owned();
                let failure = Failure::Broken {
                    reason,
                    attempts,
                    passing: false,
                };
                return Err(Try {
                    failure,
                    again: false,
                    asked: None,
                });
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        // The last step of an upload in parts may fail after its 200 has been sent.
        let failed_late = completes && head.status.is_success() && text.contains("<Error>");
        if head.status.is_success() && !failed_late {
            return Ok(HttpResponse::from_parts(head, bytes.freeze().into()));
        }
        let code = element(&text, "Code").unwrap_or_default();
        let passing = failed_late
            || head.status.is_server_error()
            || matches!(
                head.status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            )
            || code == "RequestTimeout";
        let message = match element(&text, "Message") {
            Some(message) => message,
            None if code.is_empty() => in_short(&text),
            None => String::new(),
        };
        let status = head.status.as_u16();
        let failure = if passing {
            let reason = said(status, &code, &message);
            Failure::Broken {
                reason,
                attempts,
                passing,
            }
        } else {
            Failure::Refused {
                status,
                code,
                message,
            }
        };
        Err(Try {
            failure,
            again: passing,
            asked: retry_after(&head.headers),
        })
    }
}

fn broken(error: &HttpError, attempts: u32) -> Try {
    let (failure, again) = if let Some(address) = cause::<NotPublic>(error) {
        (Failure::Blocked(*address), false)
    } else if error.kind() == HttpErrorKind::Timeout
        && !cause::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect)
    {
        (Failure::TimedOut { attempts }, true)
    } else {
        let passing = cause::<rustls::Error>(error).is_none();
        let reason = in_words(error);
        (
            Failure::Broken {
                reason,
                attempts,
                passing,
            },
            passing,
        )
    };
    Try {
        failure,
        again,
        asked: None,
    }
}

/// What the storage answered, in one line.
pub(super) fn said(status: u16, code: &str, message: &str) -> String {
    let mut said = format!("the storage answered {status}");
    for (before, text) in [(" ", code), (": ", message)] {
        if !text.is_empty() {
            said.push_str(before);
            said.push_str(text);
        }
    }
    said
}

/// The text of an XML element that has no other within.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    Some(in_short(&plain))
}

fn in_short(text: &str) -> String {
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
        assert_eq!(in_short(&"x ".repeat(500)).chars().count(), LONGEST_MESSAGE + 1);
    }
}
