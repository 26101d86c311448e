//! One URL to its end: tries, redirects, and the body.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};
use tokio::time::Instant;
use tracing::{debug, info};

use super::error::{Blocked, DownloadError};
use super::target::Rules;
use crate::storage::ShownUrl;
use crate::storage::causes::cause;
use crate::storage::reach::NotPublic;
use runpod_protocol::backoff::Backoff;
use runpod_protocol::http::{causes, retry_after};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// The longest pause between two tries that the server does not ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Where a body goes. Begun again with every try.
pub(super) trait Sink: Send {
    /// The most bytes it takes.
    fn limit(&self) -> u64;

    fn begin(
        &mut self,
        url: &Url,
        headers: &HeaderMap,
        announced: Option<u64>,
    ) -> impl Future<Output = Result<(), DownloadError>> + Send;

    fn write(&mut self, piece: Bytes) -> impl Future<Output = Result<(), DownloadError>> + Send;

    fn finish(&mut self) -> impl Future<Output = Result<(), DownloadError>> + Send;
}

/// What every download of one downloader shares.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) client: reqwest::Client,
    pub(super) rules: Rules,
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
    /// For one download, all tries and pauses included.
    pub(super) timeout: Duration,
    /// For the first byte of an answer, and between two pieces.
    pub(super) stall: Duration,
}

impl Fetcher {
    /// Fetches `url` into `sink`.
    pub(super) async fn fetch(&self, url: &str, sink: &mut impl Sink) -> Result<(), DownloadError> {
        let url = Url::parse(url.trim()).map_err(|problem| DownloadError::NotAUrl(problem.to_string()))?;
        let shown = ShownUrl::of(&url);
        let begun = Instant::now();
        let ended = match tokio::time::timeout(self.timeout, self.tries(&url, &shown, sink)).await {
            Ok(ended) => ended,
            Err(_) => Err(DownloadError::TimedOut {
                url: shown.clone(),
                limit: self.timeout,
            }),
        };
        match &ended {
            Ok(()) => info!(url = %shown, elapsed_ms = begun.elapsed().as_millis(), "downloaded"),
            Err(error) => info!(%error, "not downloaded"),
        }
        ended
    }

    async fn tries(&self, url: &Url, shown: &ShownUrl, sink: &mut impl Sink) -> Result<(), DownloadError> {
        let mut pauses = Backoff::half_jitter(self.first_pause, LONGEST_PAUSE, fastrand::Rng::new());
        // None if no clock can hold it.
        let end = Instant::now().checked_add(self.timeout);
        let mut attempt = 1;
        loop {
            let Err(error) = self.once(url, shown, sink).await else {
                return Ok(());
            };
            let pause = pauses.next_wait().max(error.retry_after().unwrap_or_default());
            // A pause that outlasts the time for everything would hide why.
            let next = Instant::now().checked_add(pause);
            let too_long = next.is_none_or(|next| end.is_some_and(|end| next >= end));
            if attempt >= self.attempts || !error.is_transient() || too_long {
                return Err(error);
            }
            debug!(attempt, ?pause, %error, "downloading again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One try: from the first URL along its redirects to the last byte.
    async fn once(&self, url: &Url, shown: &ShownUrl, sink: &mut impl Sink) -> Result<(), DownloadError> {
        let blocked = |reason| DownloadError::Blocked {
            url: shown.clone(),
            reason,
        };
        self.rules.check(url).map_err(blocked)?;
        let mut place = url.clone();
        place.set_fragment(None);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(place.clone(), shown).await?;
            match (response.status().as_u16(), response.headers().get(LOCATION)) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    place = self.rules.follow(&place, location.as_bytes()).map_err(blocked)?;
                }
                (200, _) => return self.read(response, url, shown, sink).await,
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

    /// Asks one server, which learns nothing but the URL.
    async fn ask(&self, url: Url, shown: &ShownUrl) -> Result<Response, DownloadError> {
        self.client
            .get(url)
            .header(ACCEPT, HeaderValue::from_static("*/*"))
            // What came compressed would have to be measured twice.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .send()
            .await
            .map_err(|error| self.broken(shown, &error))
    }

    async fn read(
        &self,
        mut response: Response,
        url: &Url,
        shown: &ShownUrl,
        sink: &mut impl Sink,
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
            .map_err(|error| self.broken(shown, &error))?
        {
            length = length.saturating_add(piece.len() as u64);
            if length > limit {
                return Err(too_large());
            }
            sink.write(piece).await?;
        }
        sink.finish().await
    }

    fn broken(&self, shown: &ShownUrl, error: &reqwest::Error) -> DownloadError {
        let url = shown.clone();
        if let Some(address) = cause::<NotPublic>(error) {
            let reason = (*address).into();
            return DownloadError::Blocked { url, reason };
        }
        if error.is_timeout() && !error.is_connect() {
            return DownloadError::TimedOut {
                url,
                limit: self.stall,
            };
        }
        DownloadError::Broken {
            url,
            reason: causes(error),
            passing: cause::<rustls::Error>(error).is_none(),
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
        // The second is left over from uploads to S3-like storage, which keeps it as a label.
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
