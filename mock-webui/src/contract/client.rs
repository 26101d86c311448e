//! A small HTTP client, so that the suite needs nothing that the mock does not need anyway.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::case::Case;
use super::options::ContractOptions;

/// Why a suite cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The URL is not one.
    #[error("\"{0}\" is not an http:// URL with a host; write it like http://127.0.0.1:7861")]
    Url(String),
    /// The server did not answer.
    #[error("{url} does not answer: {reason}; is the WebUI running with --api?")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

/// Sends cases to one server.
pub(super) struct Client {
    authority: String,
    prefix: String,
    authorization: Option<String>,
    timeout: Duration,
}

/// An answer, read to its end.
pub(super) struct Received {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    pub(super) fn header(&self, name: &HeaderName) -> String {
        self.named_header(name.as_str())
    }

    pub(super) fn named_header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// The body as JSON, or as a JSON string when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| match String::from_utf8_lossy(&self.body) {
            text if text.is_empty() => Value::Null,
            text => Value::from(text.into_owned()),
        })
    }
}

impl Client {
    pub(super) fn new(url: &str, options: &ContractOptions) -> Result<Self, ContractError> {
        let refused = || ContractError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let host = uri
            .host()
            .filter(|_| uri.scheme_str() == Some("http"))
            .ok_or_else(refused)?;
        let authorization = options
            .credentials
            .as_ref()
            .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Ok(Self {
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            authorization,
            timeout: options.timeout,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Received, ContractError> {
        self.call("GET", path, &[], None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Received, ContractError> {
        let body = crate::json::compact(body);
        self.call("POST", path, &[], Some(body)).await
    }

    /// Sends a case. `picture` stands in for one that its recording has left out.
    pub(super) async fn send(&self, case: &Case, picture: Option<&str>) -> Result<Received, ContractError> {
        let body = case.request_with(picture);
        self.call(&case.method, &case.path, &case.request_headers, body)
            .await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Received, ContractError> {
        let failed = |reason: String| ContractError::Unreachable {
            url: format!("http://{}{}{path}", self.authority, self.prefix),
            reason,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, &self.authority);
        let given = |wanted: HeaderName| headers.iter().any(|(name, _)| wanted == name.as_str());
        if body.is_some() && !given(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = self
            .authorization
            .as_ref()
            .filter(|_| !given(header::AUTHORIZATION))
        {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| failed(error.to_string()))?;
        let answered = tokio::time::timeout(self.timeout, exchange(&self.authority, request)).await;
        answered
            .map_err(|_| failed(format!("no answer within {} s", self.timeout.as_secs())))?
            .map_err(|error| failed(error.to_string()))
    }
}

async fn exchange(
    authority: &str,
    request: Request<Full<Bytes>>,
) -> Result<Received, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Received {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}
