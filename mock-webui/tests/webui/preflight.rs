//! Preflights of browsers.

use mock_webui::MockWebUi;
use reqwest::{Method, RequestBuilder, StatusCode};

use crate::support::client;

fn options(webui: &MockWebUi, route: &str) -> RequestBuilder {
    let url = format!("{}{route}", webui.url());
    client()
        .request(Method::OPTIONS, url)
        .header("origin", "http://example.com")
}

#[tokio::test]
async fn no_origin_passes_a_preflight_on_any_path() {
    let webui = MockWebUi::start().await;
    for route in ["/sdapi/v1/txt2img", "/nowhere"] {
        let response = options(&webui, route)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .expect("answered");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        for (name, value) in [
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "content-type"),
            (
                "access-control-allow-methods",
                "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
            ),
            ("access-control-max-age", "600"),
            ("content-type", "text/plain; charset=utf-8"),
            ("vary", "Origin"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        assert_eq!(response.text().await.expect("a text"), "Disallowed CORS origin");
    }
}

#[tokio::test]
async fn a_preflight_for_a_strange_method_names_both_faults() {
    let webui = MockWebUi::start().await;
    let request = options(&webui, "/sdapi/v1/txt2img").header("access-control-request-method", "BREW");
    let text = request
        .send()
        .await
        .expect("answered")
        .text()
        .await
        .expect("a text");
    assert_eq!(text, "Disallowed CORS origin, method");
}

#[tokio::test]
async fn options_without_a_preflights_headers_are_a_wrong_method() {
    let webui = MockWebUi::start().await;
    let response = options(&webui, "/sdapi/v1/txt2img")
        .send()
        .await
        .expect("answered");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
