//! Which redirects are followed, and how far.

use http::header::LOCATION;
use reqwest::{Response, Url};

/// The most redirects of one request that are followed. The client follows those of GETs itself.
pub(super) const MOST_REDIRECTS: usize = 10;

/// The URL of a 307 or 308, to which the same request is sent again if that URL may have it. The client follows
/// neither, because it cannot repeat a body of several pieces. The first server has not accepted the body.
pub(super) fn same_again_at(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = response.url().join(location).ok()?;
    may_have(response.url(), &next).then_some(next)
}

/// Whether a request to `here`, with the key and the output of a job, may be sent to `next`: the same scheme, host and
/// port, or https on the same host.
pub(super) fn may_have(here: &Url, next: &Url) -> bool {
    let plain = next.username().is_empty() && next.password().is_none();
    let origin = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    let upgrade = (here.scheme(), next.scheme()) == ("http", "https");
    let default_ports = here.port().is_none() && next.port().is_none();
    plain && here.host() == next.host() && (origin(here) == origin(next) || (upgrade && default_ports))
}

/// Whether the client may follow a redirect to `next` after `previous`, with a GET. Nothing leaves https, because the
/// URL names the worker and its jobs. No URL is asked twice.
pub(super) fn may_follow(previous: &[Url], next: &Url) -> bool {
    let leaves_https =
        previous.last().is_some_and(|last| last.scheme() == "https") && next.scheme() != "https";
    !leaves_https && previous.len() <= MOST_REDIRECTS && !previous.contains(next)
}
