//! The download of one URL: tries, redirects, and the body.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};
use runpod_protocol::causes;
use runpod_protocol::http::retry_after;
use tokio::time::Instant;
use tracing::{debug, info};

use super::error::{Blocked, DownloadError};
use super::sink::BodySink;
use super::url_rules::UrlRules;
use crate::storage::egress::NotPublic;
use crate::storage::retry::RetryPolicy;
use crate::storage::shown::ShownUrl;

/// The most redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// What all downloads of one downloader share.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) client: reqwest::Client,
    pub(super) rules: UrlRules,
    pub(super) retry: RetryPolicy,
    /// For one download, with all tries and pauses.
    pub(super) timeout: Duration,
    /// For the first byte of an answer, and between two pieces.
    pub(super) stall_timeout: Duration,
}

impl Fetcher {
    /// Fetches `url` into `sink`.
    pub(super) async fn fetch(&self, url: &str, sink: &mut impl BodySink) -> Result<(), DownloadError> {
        let url = Url::parse(url.trim()).map_err(DownloadError::NotAUrl)?;
        let shown = ShownUrl::of(&url);
        let begun = Instant::now();
        let tried = tokio::time::timeout(self.timeout, self.fetch_with_retries(&url, &shown, sink)).await;
        let ended = tried.unwrap_or_else(|_| {
            Err(DownloadError::TimedOut {
                url: shown.clone(),
                limit: self.timeout,
            })
        });
        match &ended {
            Ok(()) => info!(url = %shown, elapsed_ms = begun.elapsed().as_millis(), "downloaded"),
            Err(error) => info!(%error, "not downloaded"),
        }
        ended
    }

    async fn fetch_with_retries(
        &self,
        url: &Url,
        shown: &ShownUrl,
        sink: &mut impl BodySink,
    ) -> Result<(), DownloadError> {
        let mut pauses = self.retry.pauses();
        // None if the limit is longer than a clock can hold.
        let end = Instant::now().checked_add(self.timeout);
        let mut attempt = 1;
        loop {
            let Err(error) = self.fetch_once(url, shown, sink).await else {
                return Ok(());
            };
            let pause = pauses.next_wait().max(error.retry_after().unwrap_or_default());
            // A pause until after the end would turn this error into a mere timeout.
            let next = Instant::now().checked_add(pause);
            let too_long = next.is_none_or(|next| end.is_some_and(|end| next >= end));
            if attempt >= self.retry.attempts || !error.is_transient() || too_long {
                return Err(error);
            }
            debug!(attempt, ?pause, %error, "downloading again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One try: from the first URL along its redirects to the last byte.
    async fn fetch_once(
        &self,
        url: &Url,
        shown: &ShownUrl,
        sink: &mut impl BodySink,
    ) -> Result<(), DownloadError> {
        let blocked = |reason| DownloadError::Blocked {
            url: shown.clone(),
            reason,
        };
        self.rules.check(url).map_err(blocked)?;
        let mut current = url.clone();
        current.set_fragment(None);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send_request(current.clone(), shown).await?;
            match (response.status().as_u16(), response.headers().get(LOCATION)) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    current = self
                        .rules
                        .follow(&current, location.as_bytes())
                        .map_err(blocked)?;
                }
                (200, _) => return self.read_body(response, url, shown, sink).await,
                (status, _) => {
                    return Err(DownloadError::Status {
                        url: shown.clone(),
                        status,
                        retry_after: retry_after(response.headers()),
                    });
                }
            }
        }
        Err(blocked(Blocked::TooManyRedirects(MOST_REDIRECTS)))
    }

    /// Sends one request, which tells the server nothing but the URL.
    async fn send_request(&self, url: Url, shown: &ShownUrl) -> Result<Response, DownloadError> {
        self.client
            .get(url)
            .header(ACCEPT, HeaderValue::from_static("*/*"))
            // The size of a compressed answer is known only after unpacking.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .send()
            .await
            .map_err(|error| self.transport_error(shown, error))
    }

    async fn read_body(
        &self,
        mut response: Response,
        url: &Url,
        shown: &ShownUrl,
        sink: &mut impl BodySink,
    ) -> Result<(), DownloadError> {
        if let Some(encoding) = foreign_encoding(response.headers()) {
            return Err(DownloadError::Encoded {
                url: shown.clone(),
                encoding,
            });
        }
        let limit = sink.limit();
        let too_large = || DownloadError::TooLarge {
            url: shown.clone(),
            limit,
        };
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        sink.begin(url, response.headers(), announced).await?;
        let mut length = 0_u64;
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.transport_error(shown, error))?
        {
            length = length.saturating_add(piece.len() as u64);
            if length > limit {
                return Err(too_large());
            }
            sink.write(piece).await?;
        }
        sink.finish().await
    }

    /// The error of a request that got no whole answer.
    fn transport_error(&self, shown: &ShownUrl, error: reqwest::Error) -> DownloadError {
        let url = shown.clone();
        if let Some(address) = causes::find::<NotPublic>(&error) {
            let reason = (*address).into();
            return DownloadError::Blocked { url, reason };
        }
        if error.is_timeout() && !error.is_connect() {
            return DownloadError::TimedOut {
                url,
                limit: self.stall_timeout,
            };
        }
        DownloadError::Broken {
            url,
            reason: runpod_protocol::http::causes(&error),
            transient: causes::find::<rustls::Error>(&error).is_none(),
            // The URL may hold a signature.
            source: error.without_url().into(),
        }
    }
}

/// The encoding of a body that is not the file itself.
fn foreign_encoding(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|encoding| String::from_utf8_lossy(encoding).trim().to_ascii_lowercase())
        // S3-like storage keeps `aws-chunked` from the upload as a label.
        .find(|encoding| !matches!(encoding.as_str(), "" | "identity" | "aws-chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_that_change_nothing_are_let_through() {
        for (value, foreign) in [
            ("identity", None),
            ("", None),
            ("aws-chunked", None),
            ("gzip", Some("gzip")),
            ("aws-chunked, GZIP", Some("gzip")),
            ("br", Some("br")),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(foreign_encoding(&headers).as_deref(), foreign, "{value}");
        }
        assert_eq!(foreign_encoding(&HeaderMap::new()), None);
    }
}
