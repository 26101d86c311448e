//! URLs with placeholders (`docs/protocol/worker-protocol.md` §3).
//!
//! Placeholders are replaced anywhere. What stands for them is percent-encoded, so that an id is one part of the path
//! whatever it holds. The template's own query stays as it is, byte for byte, because the platform expects its `+` back.

use std::fmt::Write as _;

use runpod_protocol::route;

use crate::job::JobId;

/// A URL of the platform with placeholders for the ids of worker and job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(String);

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or("not an http:// or https:// URL")?;
        if rest.is_empty() || rest.starts_with(['/', '?']) {
            return Err("the URL has no host".to_owned());
        }
        let braced = |name: &str| format!("${{{}}}", name.trim_start_matches('$'));
        let plain = text
            .replace(&braced(route::WORKER_PLACEHOLDER), route::WORKER_PLACEHOLDER)
            .replace(&braced(route::ID_PLACEHOLDER), route::ID_PLACEHOLDER);
        Ok(Self(plain))
    }

    /// The first placeholder, such as `$NAME` or `${NAME}`, of a name that is not filled in.
    pub(crate) fn unfilled(&self) -> Option<&str> {
        self.0.match_indices('$').find_map(|(at, _)| {
            let rest = &self.0[at..];
            let braced = rest
                .strip_prefix("${")
                .and_then(|rest| rest.find('}'))
                .map(|end| end + 3);
            let name = rest[1..]
                .find(|letter: char| !is_name(letter))
                .map_or(rest.len(), |end| end + 1);
            let placeholder = &rest[..braced.unwrap_or(name)];
            let filled = [route::WORKER_PLACEHOLDER, route::ID_PLACEHOLDER];
            (placeholder.len() > 1 && !filled.iter().any(|known| placeholder.starts_with(known)))
                .then_some(placeholder)
        })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Host and port, the scheme's own port included. An IPv6 address comes without its brackets.
    pub(crate) fn address(&self) -> Option<(String, u16)> {
        let url = reqwest::Url::parse(&self.0).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some((host, url.port_or_known_default()?))
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address().is_some_and(|(host, _)| {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// For take, stop and ping, where both placeholders mean the worker.
    pub(crate) fn for_worker(&self, worker_id: &str) -> Url {
        self.filled(worker_id, worker_id)
    }

    /// For done and stream, where `$ID` means the job.
    pub(crate) fn for_job(&self, worker_id: &str, job: &JobId) -> Url {
        self.filled(worker_id, job.as_str())
    }

    fn filled(&self, worker_id: &str, id: &str) -> Url {
        Url(self
            .0
            .replace(route::WORKER_PLACEHOLDER, &encoded(worker_id))
            .replace(route::ID_PLACEHOLDER, &encoded(id)))
    }

    /// The template of another operation: `job-take` in the path replaced by `operation`. `None` if the template is not
    /// of the platform's usual shape.
    pub(crate) fn for_operation(&self, operation: &str) -> Option<Self> {
        let take = format!("/{}/", route::JOB_TAKE);
        self.0
            .contains(&take)
            .then(|| Self(self.0.replace(&take, &format!("/{operation}/"))))
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// A finished URL that takes more query parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url(String);

impl Url {
    /// Adds `name=value`. The value must need no encoding.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        // Emulators end their templates in a bare `?`; the platform's own have a query.
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(value);
        self
    }

    /// Adds `name=value` with the value encoded.
    #[must_use]
    pub(crate) fn with_text(self, name: &str, value: &str) -> Self {
        let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        self.with(name, &encoded)
    }

    /// Adds `name=id,id,…` with each id encoded.
    #[must_use]
    pub(crate) fn with_ids<'i>(self, name: &str, ids: impl Iterator<Item = &'i str>) -> Self {
        let ids: Vec<String> = ids.map(encoded).collect();
        self.with(name, &ids.join(","))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id as a part of a path or as a value in a query: all but letters, digits and `-._~` percent-encoded.
fn encoded(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn the_address_is_that_of_the_host_and_may_be_this_machine() {
        let address = |text| template(text).address().unwrap();
        assert_eq!(
            address("https://api.runpod.ai/v2/ep/job-take/$ID?gpu=A"),
            ("api.runpod.ai".to_owned(), 443)
        );
        assert_eq!(address("http://[::1]/take"), ("::1".to_owned(), 80));
        assert_eq!(
            address("http://user:pw@10.0.0.1:8080/take"),
            ("10.0.0.1".to_owned(), 8080)
        );
        for local in [
            "http://127.0.0.1:1/",
            "http://127.9.9.9/",
            "http://LOCALHOST:1/",
            "http://[::1]:1/",
        ] {
            assert!(template(local).is_loopback(), "{local}");
        }
        assert!(!template("http://localhost.example/").is_loopback());
    }

    #[test]
    fn the_query_of_the_template_stays_as_it_is() {
        let url = template("https://h/v2/e/job-take/$ID?gpu=NVIDIA+A100").for_worker("w 1");
        assert_eq!(
            url.with("job_in_progress", "0").as_str(),
            "https://h/v2/e/job-take/w%201?gpu=NVIDIA+A100&job_in_progress=0"
        );
    }

    #[test]
    fn a_template_without_a_query_gets_one() {
        assert_eq!(
            template("http://h/t/$ID")
                .for_worker("w")
                .with("a", "1")
                .with("b", "2")
                .as_str(),
            "http://h/t/w?a=1&b=2"
        );
        assert_eq!(
            template("http://h/t/$ID?")
                .for_worker("w")
                .with("a", "1")
                .as_str(),
            "http://h/t/w?&a=1"
        );
    }

    #[test]
    fn an_id_is_one_part_of_the_path_whatever_it_holds() {
        let done = template("http://h/v2/e/job-done/$RUNPOD_POD_ID/$ID?gpu=A");
        for (id, shown) in [
            ("j-u1", "j-u1"),
            ("../../other", "..%2F..%2Fother"),
            ("a?b#c&d", "a%3Fb%23c%26d"),
            ("a b\r\nc", "a%20b%0D%0Ac"),
            ("$RUNPOD_POD_ID", "%24RUNPOD_POD_ID"),
            ("100%", "100%25"),
            ("\u{e4}", "%C3%A4"),
        ] {
            let url = done.for_job("w/1", &id.into());
            assert_eq!(
                url.as_str(),
                format!("http://h/v2/e/job-done/w%2F1/{shown}?gpu=A")
            );
            let parsed = reqwest::Url::parse(url.as_str()).unwrap();
            assert_eq!(
                parsed.path(),
                format!("/v2/e/job-done/w%2F1/{shown}"),
                "nothing is left to be resolved"
            );
        }
        let ping = template("http://h/ping/$ID").for_worker("w");
        let ids = ["a", "b&status=unhealthy", "c,d"];
        assert_eq!(
            ping.with_ids("job_id", ids.into_iter()).as_str(),
            "http://h/ping/w?job_id=a,b%26status%3Dunhealthy,c%2Cd"
        );
    }

    #[test]
    fn free_text_is_encoded() {
        let url = template("http://h/ping/$ID?")
            .for_worker("w")
            .with_text("reason", "TooSmall: 2 & 3");
        assert_eq!(url.as_str(), "http://h/ping/w?&reason=TooSmall%3A+2+%26+3");
    }

    #[test]
    fn both_placeholders_are_filled_in_everywhere() {
        let done = template("http://h/$RUNPOD_POD_ID/$ID?again=$ID");
        assert_eq!(
            done.for_job("w", &"j-u1".into()).as_str(),
            "http://h/w/j-u1?again=j-u1"
        );
        assert_eq!(done.for_worker("w").as_str(), "http://h/w/w?again=w");
    }

    #[test]
    fn a_placeholder_in_braces_is_the_same() {
        let done = template(" http://h/${RUNPOD_POD_ID}/${ID}?again=$ID\n");
        assert_eq!(done.for_job("w", &"j".into()).as_str(), "http://h/w/j?again=j");
    }

    #[test]
    fn a_placeholder_of_another_name_is_found() {
        for (text, unfilled) in [
            (
                "http://h/$ID?gpu=$RUNPOD_GPU_TYPE_ID",
                Some("$RUNPOD_GPU_TYPE_ID"),
            ),
            ("http://h/$ID?gpu=${GPU}&a=1", Some("${GPU}")),
            ("http://h/$RUNPOD_POD_ID/${ID}?price=5$", None),
            ("http://h/t", None),
        ] {
            assert_eq!(template(text).unfilled(), unfilled);
        }
    }

    #[test]
    fn the_channel_is_changed_where_the_template_names_one() {
        let take = template("http://h/v2/e/job-take/$ID?gpu=A");
        assert_eq!(
            take.for_operation("job-stop"),
            Some(template("http://h/v2/e/job-stop/$ID?gpu=A"))
        );
        assert_eq!(template("http://h/take/$ID").for_operation("job-stop"), None);
    }
}
