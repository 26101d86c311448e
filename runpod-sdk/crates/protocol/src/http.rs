//! Reading of HTTP answers and errors, the same for every client in these crates.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, RETRY_AFTER};

use crate::causes::chain;

/// A longer wait than this is not believed: it would stop the worker for good.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The causes of an HTTP client's error in one line.
///
/// The client's own message is left out: it holds the URL, and with it ids.
pub fn causes(error: &reqwest::Error) -> String {
    let mut texts = vec![if error.is_connect() {
        "could not connect".to_owned()
    } else {
        "request broken".to_owned()
    }];
    texts.extend(chain(error).skip(1).map(ToString::to_string));
    texts.dedup();
    texts.join(": ")
}

/// The wait that `Retry-After` asks for, given in seconds or as a date; at most one hour.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        at.duration_since(SystemTime::now()).unwrap_or_default()
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &'static str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]))
    }

    #[test]
    fn a_time_that_makes_no_sense_neither_stops_a_worker_for_good_nor_breaks_it() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        for text in ["18446744073709551615", "86400", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(asked(text), Some(LONGEST_RETRY_AFTER), "{text}");
        }
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        for text in ["18446744073709551616", "-1", "soon", ""] {
            assert_eq!(asked(text), None, "{text}");
        }
    }
}
