//! What the web framework answers where no route does (§2, §10).

use std::collections::{BTreeMap, BTreeSet};

use http::{StatusCode, header};
use wiremock::{Request, Respond, ResponseTemplate};

use super::preflight;
use super::route::{Route, template};
use crate::answer::Answer;

/// 405 for a known path, 307 for a trailing slash too many, 404 for the rest.
pub(crate) struct Fallback {
    methods: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Fallback {
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut methods: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for route in routes {
            methods.entry(route.path).or_default().insert(route.method);
        }
        Self { methods }
    }

    fn answer(&self, request: &Request) -> Answer {
        let path = request.url.path();
        if let Some(methods) = self.methods.get(path) {
            // The framework names the methods of the first route of that path only.
            let allow = methods.first().copied().unwrap_or_default();
            return Answer::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
                .header("allow", allow);
        }
        match path.strip_suffix('/') {
            Some(without) if self.methods.contains_key(without) => {
                let host = request
                    .headers
                    .get(header::HOST)
                    .and_then(|host| host.to_str().ok());
                let query = request
                    .url
                    .query()
                    .map_or_else(String::new, |query| format!("?{query}"));
                let location = format!("http://{}{without}{query}", host.unwrap_or("localhost"));
                Answer::raw(StatusCode::TEMPORARY_REDIRECT, None, "").header("location", location)
            }
            _ => Answer::detail(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

impl Respond for Fallback {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        template(preflight::answer(request).unwrap_or_else(|| self.answer(request)))
    }
}
