//! Where the WebUI is, and who may use it.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use secrecy::SecretString;

/// Base URL of the WebUI, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUiUrl(Url);

impl WebUiUrl {
    /// The URL of one of the API's routes, such as `/sdapi/v1/txt2img`. It may have a query.
    pub(crate) fn route(&self, route: &str) -> Url {
        let (path, query) = match route.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (route, None),
        };
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

impl fmt::Display for WebUiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for WebUiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write http://127.0.0.1:3000"))?;
        if url.scheme() != "http" {
            return Err(
                "write an address that begins with http://, such as http://127.0.0.1:3000".to_owned(),
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Logs show the URL.
            return Err("put the credentials into SD_WORKER_WEBUI_AUTH, not into the URL".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the URL ends with its path: no ? and no #".to_owned());
        }
        Ok(Self(without_route(url)))
    }
}

/// The URL without the API's own path: many call `http://127.0.0.1:3000/sdapi/v1` the base.
fn without_route(mut url: Url) -> Url {
    const API: &str = "/sdapi";
    let path = url.path();
    let is_api = |start: &usize| matches!(path.as_bytes().get(start + API.len()), None | Some(b'/'));
    if let Some((start, _)) = path.match_indices(API).find(|(start, _)| is_api(start)) {
        let base = path[..start].to_owned();
        url.set_path(&base);
    }
    url
}

/// User and password for the WebUI's API. `Debug` hides both.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(crate) user: SecretString,
    pub(crate) password: SecretString,
}

impl FromStr for Credentials {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Self {
                user: user.into(),
                password: password.into(),
            }),
            _ => Err("write USER:PASSWORD, with a colon in between"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_have_a_path() {
        let route = |base: &str| {
            let url: WebUiUrl = base.parse().unwrap();
            url.route("/sdapi/v1/txt2img").to_string()
        };
        let url: WebUiUrl = "http://h/a".parse().unwrap();
        assert_eq!(url.route("/progress?x=1").as_str(), "http://h/a/progress?x=1");
        assert_eq!(
            route("http://127.0.0.1:3000"),
            "http://127.0.0.1:3000/sdapi/v1/txt2img"
        );
        assert_eq!(route("http://h/webui/"), "http://h/webui/sdapi/v1/txt2img");
        assert_eq!(route("http://h/a/b"), "http://h/a/b/sdapi/v1/txt2img");
    }

    #[test]
    fn the_api_s_own_path_is_no_part_of_the_base() {
        for (given, base) in [
            ("http://127.0.0.1:3000/sdapi/v1", "http://127.0.0.1:3000"),
            ("http://127.0.0.1:3000/sdapi/v1/", "http://127.0.0.1:3000"),
            ("http://127.0.0.1:3000/sdapi", "http://127.0.0.1:3000"),
            ("http://127.0.0.1:3000/sdapi/v1/txt2img", "http://127.0.0.1:3000"),
            ("http://h/webui/sdapi/v1", "http://h/webui"),
            ("http://h/sdapis/", "http://h/sdapis"),
        ] {
            let url: WebUiUrl = given.parse().unwrap();
            assert_eq!(url.to_string(), base, "{given}");
            assert_eq!(
                url.route("/sdapi/v1/progress?x=1").as_str(),
                format!("{base}/sdapi/v1/progress?x=1")
            );
        }
    }

    #[test]
    fn a_url_that_can_t_work_is_refused_with_the_remedy() {
        for (bad, remedy) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://h", "begins with http://"),
            ("http://u:p@h", "SD_WORKER_WEBUI_AUTH"),
            ("http://h/?a=1", "no ?"),
        ] {
            let error = bad.parse::<WebUiUrl>().unwrap_err();
            assert!(error.contains(remedy), "{bad}: {error}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let credentials: Credentials = "anna:pass:word".parse().unwrap();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("anna") && !shown.contains("pass:word"), "{shown}");
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&credentials.password),
            "pass:word"
        );
        assert!("anna".parse::<Credentials>().is_err());
    }
}
