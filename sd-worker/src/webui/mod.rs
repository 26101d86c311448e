//! The WebUI's HTTP API, as far as a worker needs it (`docs/protocol/webui-api.md`).

mod answer;
mod call;
mod changes;
mod checkpoint;
mod ending;
mod error;
mod fate;
mod fault;
mod interrupt;
mod look;
mod lost;
mod overrides;
mod part;
mod phases;
mod problem;
mod progress;
mod ready;
mod render;
mod retry;
mod steer;
mod suspect;
mod warm_up;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, Response};
use runpod_sdk::Context;
use runpod_sdk::json::RawJson;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;

use crate::settings::{Credentials, Settings, WebUiUrl};

pub(crate) use call::{Begins, Call};
pub(crate) use changes::{Changes, Era};
pub(crate) use error::WebUiError;
pub(crate) use part::Part;
pub(crate) use ready::{NotReady, Readiness};
pub(crate) use render::{Finished, Renderer, Turn, unless_cancelled};
pub use warm_up::WarmUp;

const MODELS: &str = "/sdapi/v1/sd-models";
const TXT2IMG: &str = "/sdapi/v1/txt2img";
const IMG2IMG: &str = "/sdapi/v1/img2img";
const PROGRESS: &str = "/sdapi/v1/progress?skip_current_image=true";
const PROGRESS_WITH_PREVIEW: &str = "/sdapi/v1/progress?skip_current_image=false";
const INTERRUPT: &str = "/sdapi/v1/interrupt";
const SAMPLERS: &str = "/sdapi/v1/samplers";
const SCHEDULERS: &str = "/sdapi/v1/schedulers";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the small requests beside a render. With dozens of requests waiting the WebUI takes up to 8 s.
const SIDE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest list or error that is read.
const SMALL_BODY: usize = 32 << 20;

/// A client of one WebUI. Cloning it shares the connections.
#[derive(Debug, Clone)]
pub(crate) struct WebUi {
    http: Client,
    url: Arc<WebUiUrl>,
    credentials: Option<Arc<Credentials>>,
    /// How long an answer may stand still.
    answer_idle: Duration,
    /// A shorter render ends without a progress probe.
    brief_render: Duration,
    sight: Arc<look::Sight>,
}

impl WebUi {
    pub(crate) fn new(settings: &Settings) -> Result<Self, NotReady> {
        // Nothing here speaks TLS, but a client can't be built without a provider. That the process has
        // one already is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("sd-worker/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .no_proxy()
            .tls_certs_only([])
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(settings.tuning.pool_idle)
            .build()
            .map_err(NotReady::NoClient)?;
        Ok(Self {
            http,
            url: Arc::new(settings.webui_url.clone()),
            credentials: settings.webui_auth.clone().map(Arc::new),
            answer_idle: settings.tuning.answer_idle,
            brief_render: settings.tuning.brief_render,
            sight: Arc::default(),
        })
    }

    /// The address, for messages.
    pub(crate) fn url(&self) -> &WebUiUrl {
        &self.url
    }

    /// Sends a request and reads its answer. Of a render nothing is heard until it is done, which may take
    /// minutes.
    pub(crate) async fn send(&self, call: &Call) -> Result<RawJson, WebUiError> {
        answer::read(self.response(call).await?, self.answer_idle).await
    }

    /// The answer to a request, if it is 200.
    async fn response(&self, call: &Call) -> Result<Response, WebUiError> {
        let mut request = self.request(call.method.clone(), &call.route);
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone().into_bytes());
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| WebUiError::from_transport(&error))?;
        if response.status() == 200 {
            Ok(response)
        } else {
            Err(refusal(response, self.answer_idle).await.about(call))
        }
    }

    /// Sends a request that needs no turn on the GPU. It is given up when its job is.
    pub(crate) async fn ask(&self, call: &Call, ctx: &Context) -> Result<RawJson, WebUiError> {
        tokio::select! {
            biased;
            answer = self.send(call) => answer,
            reason = ctx.cancelled() => Err(WebUiError::Interrupted(reason)),
        }
    }

    /// What the WebUI is doing right now.
    async fn progress(&self) -> Result<progress::Progress, WebUiError> {
        self.progress_with(false).await
    }

    /// The same, with the unfinished picture if it is wanted, which costs the WebUI time to decode.
    async fn progress_with(&self, preview: bool) -> Result<progress::Progress, WebUiError> {
        let route = if preview { PROGRESS_WITH_PREVIEW } else { PROGRESS };
        let seen = self.get_small(route).await?;
        self.sight.clear();
        Ok(seen)
    }

    /// Stops the render in progress at its next step. Harmless when there is none.
    async fn interrupt(&self) -> Result<(), WebUiError> {
        let sent = self
            .request(Method::POST, INTERRUPT)
            .timeout(SIDE_TIMEOUT)
            .send()
            .await;
        let response = sent.map_err(|error| WebUiError::from_transport(&error))?;
        if response.status() == 200 {
            Ok(())
        } else {
            Err(refusal(response, self.answer_idle).await)
        }
    }

    /// The samplers by name.
    pub(crate) async fn samplers<T: DeserializeOwned>(&self) -> Result<T, WebUiError> {
        self.get_small(SAMPLERS).await
    }

    /// The schedulers; a WebUI before 1.9 has no such route.
    pub(crate) async fn schedulers<T: DeserializeOwned>(&self) -> Result<T, WebUiError> {
        self.get_small(SCHEDULERS).await
    }

    /// One of the lists, or another small object, by its route.
    pub(crate) async fn list<T: DeserializeOwned>(&self, route: &str) -> Result<T, WebUiError> {
        self.get_small(route).await
    }

    async fn get_small<T: DeserializeOwned>(&self, route: &str) -> Result<T, WebUiError> {
        let sent = self
            .request(Method::GET, route)
            .timeout(SIDE_TIMEOUT)
            .send()
            .await;
        let response = sent.map_err(|error| WebUiError::from_transport(&error))?;
        if response.status() == 200 {
            answer::read_small(response).await
        } else {
            Err(refusal(response, self.answer_idle).await)
        }
    }

    fn request(&self, method: Method, route: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url.route(route));
        match &self.credentials {
            Some(credentials) => request.basic_auth(
                credentials.user.expose_secret(),
                Some(credentials.password.expose_secret()),
            ),
            None => request,
        }
    }
}

/// The answer to a render, once it has begun, and the state of the WebUI then, if that could be had.
#[derive(Debug)]
struct Rendered {
    answer: Result<RawJson, WebUiError>,
    after: Option<progress::Progress>,
    /// It was over so soon that nobody can have ended it, and the WebUI was not asked.
    is_brief: bool,
}

/// An answer other than 200 as an error, with as much of its text as comes.
async fn refusal(response: Response, idle: Duration) -> WebUiError {
    let status = response.status().as_u16();
    let (body, _) = answer::read_start(response, SMALL_BODY, idle).await;
    WebUiError::refused(status, &body)
}

/// The causes of an error in one line. Its own message is left out where there are causes: it repeats
/// the URL and says nothing else.
fn causes(error: &reqwest::Error) -> String {
    let mut cause = std::error::Error::source(error);
    let mut texts = Vec::new();
    while let Some(source) = cause {
        texts.push(source.to_string());
        cause = source.source();
    }
    if texts.is_empty() {
        texts.push(error.to_string());
    }
    texts.join(": ")
}
