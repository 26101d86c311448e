//! One request to the WebUI and the answer that has begun, each with the connection that carries it.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, RequestBuilder, Response};

use super::connections::Connection;

/// A request that has not been sent.
pub(super) struct Request {
    pub(super) connection: Connection,
    pub(super) request: RequestBuilder,
}

/// An answer whose head has come. Keep the connection when the body has been read to its end.
pub(super) struct Begun {
    pub(super) response: Response,
    pub(super) connection: Connection,
}

impl Request {
    /// Gives the request a body, which is JSON.
    pub(super) fn json(mut self, body: impl Into<Body>) -> Self {
        self.request = self.request.header(CONTENT_TYPE, "application/json").body(body);
        self
    }

    /// Limits the whole exchange, the answer's body included.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.request = self.request.timeout(limit);
        self
    }

    pub(super) async fn send(self) -> reqwest::Result<Begun> {
        let Self { connection, request } = self;
        let response = request.send().await?;
        Ok(Begun { response, connection })
    }
}
