//! What several tests need.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mock_webui::MockWebUi;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// A client. Where the whole workspace is tested its TLS has no default, and wants one even if nothing
/// uses it.
pub(crate) fn client() -> Client {
    client_builder().build().expect("a client")
}

/// The same, to be changed.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
}

/// Gets a URL.
pub(crate) async fn fetch(url: impl reqwest::IntoUrl) -> reqwest::Result<Response> {
    client().get(url).send().await
}

/// Posts JSON to a route under `/sdapi/v1`.
pub(crate) async fn post(webui: &MockWebUi, route: &str, body: &Value) -> Response {
    let url = format!("{}/sdapi/v1/{route}", webui.url());
    client()
        .post(url)
        .json(body)
        .send()
        .await
        .expect("the mock answers")
}

/// Gets a route under `/sdapi/v1` as JSON.
pub(crate) async fn get(webui: &MockWebUi, route: &str) -> Value {
    let url = format!("{}/sdapi/v1/{route}", webui.url());
    fetch(url)
        .await
        .expect("the mock answers")
        .json()
        .await
        .expect("JSON")
}

/// Renders and returns the answer, which must be a 200.
pub(crate) async fn render(webui: &MockWebUi, body: &Value) -> Value {
    let response = post(webui, "txt2img", body).await;
    let status = response.status();
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// Starts a render in the background.
pub(crate) fn start(webui: &MockWebUi, body: &Value) -> tokio::task::JoinHandle<Value> {
    let request = client()
        .post(format!("{}/sdapi/v1/txt2img", webui.url()))
        .json(body);
    tokio::spawn(async move { request.send().await.expect("sent").json().await.expect("JSON") })
}

/// The `info` string of an answer, decoded.
pub(crate) fn info(answer: &Value) -> Value {
    serde_json::from_str(answer["info"].as_str().expect("info is a string")).expect("info is JSON")
}

/// A small request that leaves no setting to chance.
pub(crate) fn small(prompt: &str, steps: u32) -> Value {
    json!({ "prompt": prompt, "steps": steps, "width": 64, "height": 64, "seed": 42 })
}

/// One picture of an answer, as the bytes of its file.
pub(crate) fn picture(answer: &Value, index: usize) -> Vec<u8> {
    STANDARD
        .decode(answer["images"][index].as_str().expect("a picture"))
        .expect("base64")
}

/// What the tests look at in a PNG file.
pub(crate) struct Png {
    pub(crate) size: (u32, u32),
    /// Keyword and content of the first text chunk.
    pub(crate) text: Option<(String, String)>,
    /// Whether that chunk is an `iTXt`.
    pub(crate) international: bool,
}

/// Reads a PNG file.
pub(crate) fn read_png(bytes: &[u8]) -> Png {
    let reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .expect("a PNG");
    let info = reader.info();
    let latin = info
        .uncompressed_latin1_text
        .first()
        .map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
    let utf8 = info
        .utf8_text
        .first()
        .map(|chunk| (chunk.keyword.clone(), chunk.get_text().expect("UTF-8")));
    Png {
        size: (info.width, info.height),
        international: latin.is_none() && utf8.is_some(),
        text: latin.or(utf8),
    }
}
