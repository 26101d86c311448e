//! Sends requests to one WebUI.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method};
use runpod_sdk::json::RawJson;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::answer::{self, EmptyBody, SMALL_BODY};
use super::call::Call;
use super::connections::Connections;
use super::error::WebUiError;
use super::exchange::{Begun, Request};
use super::own_render::OwnRender;
use super::probe::ProgressProbe;
use super::progress::Progress;
use super::routes::{INTERRUPT, PROGRESS, PROGRESS_WITH_PREVIEW};
use super::server_kind::Server;
use crate::causes::causes;
use crate::settings::{Credentials, WebUiUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit of a small request beside a render. With dozens of requests waiting the WebUI takes up to 8 s.
pub(super) const SIDE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client needs to know.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    pub(crate) url: WebUiUrl,
    pub(crate) credentials: Option<Credentials>,
    /// How long an idle connection is kept.
    pub(crate) pool_idle: Duration,
    /// How long an answer that has begun may stand still.
    pub(crate) answer_idle: Duration,
    /// A shorter render ends without a progress probe.
    pub(crate) brief_render: Duration,
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {}", causes(.0))]
pub(crate) struct NoClient(#[source] reqwest::Error);

/// A client of one WebUI. Its clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct WebUi {
    connections: Arc<Connections>,
    url: Arc<WebUiUrl>,
    credentials: Option<Arc<Credentials>>,
    pub(super) answer_idle: Duration,
    pub(super) brief_render: Duration,
    pub(super) probe: Arc<ProgressProbe>,
    pub(super) own_render: Arc<OwnRender>,
    pub(super) server: Arc<OnceCell<Server>>,
}

impl WebUi {
    /// Builds a client. It opens no connection yet.
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, NoClient> {
        // The client speaks no TLS, but reqwest builds none without a provider. An error means that the process has
        // a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("sd-worker/", env!("CARGO_PKG_VERSION")))
                .http1_only()
                .no_proxy()
                .tls_certs_only([])
                .referer(false)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
        };
        let connections = Connections::new(builder, options.pool_idle).map_err(NoClient)?;
        Ok(Self {
            connections: Arc::new(connections),
            url: Arc::new(options.url.clone()),
            credentials: options.credentials.clone().map(Arc::new),
            answer_idle: options.answer_idle,
            brief_render: options.brief_render,
            probe: Arc::default(),
            own_render: Arc::default(),
            server: Arc::default(),
        })
    }

    /// The WebUI's address, for messages.
    pub(crate) fn url(&self) -> &WebUiUrl {
        &self.url
    }

    /// What is known of the worker's own render.
    pub(crate) fn own_render(&self) -> &OwnRender {
        &self.own_render
    }

    /// Sends a request and reads its answer. A render is answered when it is done, which may take minutes.
    pub(crate) async fn send(&self, call: &Call) -> Result<RawJson, WebUiError> {
        self.read_answer(call, self.response(call).await?).await
    }

    /// Reads the answer to a request. An answer without a body is `null`, but a render has to have one.
    pub(super) async fn read_answer(&self, call: &Call, begun: Begun) -> Result<RawJson, WebUiError> {
        let empty = if call.begins_a_job() {
            EmptyBody::Refused
        } else {
            EmptyBody::Null
        };
        let answer = answer::read(begun.response, self.answer_idle, empty).await?;
        begun.connection.keep();
        Ok(answer)
    }

    /// Sends a request and returns when its answer begins. Every status that reports no success is an error.
    pub(super) async fn response(&self, call: &Call) -> Result<Begun, WebUiError> {
        let mut request = self.request(call.method.clone(), &call.route)?;
        if let Some(body) = &call.body {
            request = request.json(body.clone().into_bytes());
        }
        let answered = self.accepted(request).await;
        answered.map_err(|error| error.about(call))
    }

    /// What the WebUI is doing now.
    pub(crate) async fn progress(&self) -> Result<Progress, WebUiError> {
        self.progress_with(false).await
    }

    /// What the WebUI is doing now, with the unfinished picture if `preview` is set. Decoding that costs the WebUI
    /// time.
    pub(crate) async fn progress_with(&self, preview: bool) -> Result<Progress, WebUiError> {
        let route = if preview { PROGRESS_WITH_PREVIEW } else { PROGRESS };
        let seen = self.get_small(route).await?;
        self.probe.answered();
        Ok(seen)
    }

    /// Stops the render in progress at its next step. Harmless when nothing renders.
    pub(super) async fn interrupt(&self) -> Result<(), WebUiError> {
        self.post(INTERRUPT, None, Some(SIDE_TIMEOUT)).await
    }

    /// One of the WebUI's lists, or another small object, by its route.
    pub(crate) async fn list<T: DeserializeOwned>(&self, route: &str) -> Result<T, WebUiError> {
        self.get_small(route).await
    }

    pub(super) async fn get_small<T: DeserializeOwned>(&self, route: &str) -> Result<T, WebUiError> {
        let request = self.request(Method::GET, route)?.limit(SIDE_TIMEOUT);
        let begun = self.accepted(request).await?;
        let answer = answer::read_small(begun.response).await?;
        begun.connection.keep();
        Ok(answer)
    }

    /// Posts a small request whose answer does not matter.
    pub(super) async fn post(
        &self,
        route: &str,
        body: Option<&Value>,
        limit: Option<Duration>,
    ) -> Result<(), WebUiError> {
        let mut request = self.request(Method::POST, route)?;
        if let Some(body) = body {
            request = request.json(body.to_string());
        }
        if let Some(limit) = limit {
            request = request.limit(limit);
        }
        self.accepted(request).await.map(drop)
    }

    /// Begins a request. Every request to the WebUI is made here, so a header for all of them belongs here.
    pub(super) fn request(&self, method: Method, route: &str) -> Result<Request, WebUiError> {
        let connection = self.connections.connection();
        // Without a client nothing is sent, and a request is not to blame.
        let connection = connection.map_err(|error| WebUiError::Unreachable {
            reason: causes(&error),
        })?;
        let mut request = connection.client().request(method, self.url.route(route));
        if let Some(credentials) = &self.credentials {
            request = request.basic_auth(
                credentials.user.expose_secret(),
                Some(credentials.password.expose_secret()),
            );
        }
        Ok(Request { connection, request })
    }

    /// Sends a request. Every status that reports no success is an error, with as much of its explanation as arrives.
    async fn accepted(&self, request: Request) -> Result<Begun, WebUiError> {
        let sent = request.send().await;
        let begun = sent.map_err(|error| WebUiError::from_transport(&error))?;
        if begun.response.status().is_success() {
            return Ok(begun);
        }
        Err(self.refusal(begun).await)
    }

    /// An answer that reports no success, as an error. Its connection is not kept: after a status of 500 the server may
    /// close it at any moment.
    pub(super) async fn refusal(&self, begun: Begun) -> WebUiError {
        let Begun { response, .. } = begun;
        let status = response.status().as_u16();
        let (body, _) = answer::read_start(response, SMALL_BODY, self.answer_idle).await;
        WebUiError::refused(status, &body)
    }
}
