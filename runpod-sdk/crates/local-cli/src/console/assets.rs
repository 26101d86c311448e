//! The files of the page, which are part of the program.

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// What the page may do: its own scripts, style and connections, pictures made from jobs' data, and nothing else. Scripts
/// cannot turn text into markup (`trusted-types`), so that no job's data can become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const INDEX: &str = include_str!("../../assets/index.html");

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../assets/", $name)))),*]
    };
}

/// Name and text of each.
const FILES: &[(&str, &str)] = files! {
    "style.css" "icon.svg"
    "main.js" "dom.js" "feed.js" "state.js" "format.js" "list.js" "job.js" "timeline.js" "json.js" "picture.js" "form.js"
    "schema.js" "workers.js" "faults.js" "inbox.js" "cost.js"
};

pub(super) async fn index() -> Response {
    answer("text/html; charset=utf-8", INDEX)
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    let found = FILES.iter().find(|(known, _)| *known == name);
    match found {
        Some((name, text)) => answer(media_type(name), text),
        None => {
            let mut missing = Response::new(Body::empty());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn answer(media_type: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the command brings other files under the same address.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_scripts_load_nothing_that_is_not_here() {
        let all = FILES.iter().map(|(_, text)| *text).chain([INDEX]);
        for text in all {
            for (_, after) in text
                .match_indices("/console/")
                .map(|(at, found)| (at, &text[at + found.len()..]))
            {
                let name: String = after
                    .chars()
                    .take_while(|&part| part.is_alphanumeric() || part == '.')
                    .collect();
                let known =
                    FILES.iter().any(|(known, _)| *known == name) || matches!(&*name, "api" | "inbox");
                assert!(known, "/console/{name}");
            }
            for (at, found) in text.match_indices("from \"./") {
                let name = text[at + found.len()..].split('"').next().unwrap();
                assert!(FILES.iter().any(|(known, _)| *known == name), "{name}");
            }
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "https://cdn",
            ] {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }
}
