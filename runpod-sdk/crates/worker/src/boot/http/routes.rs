//! The routes of the HTTP modes.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use runpod_protocol::callers;

use super::answer::{self, Form};
use super::body;
use super::own::OwnService;
use super::refused::Refused;
use super::request;
use super::request_queue::{Health, RequestQueue};
use super::settings::HttpSettings;
use crate::job::WorkerIdentity;

const RUN_SYNC: &str = "/runsync";
const WORKER_ID: &str = "x-runpod-worker-id";

/// The state that all routes share.
pub(super) struct App {
    pub(super) settings: HttpSettings,
    pub(super) requests: Arc<RequestQueue>,
    pub(super) identity: WorkerIdentity,
    /// The program's own routes, if it has any.
    pub(super) own: Option<OwnService>,
}

/// How a route takes its input and gives its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// `POST /`: the body is the input, the answer is the output.
    Bare,
    /// `POST /runsync`: body and answer are those of RunPod's endpoint API.
    RunSync,
    /// `POST /ENDPOINT/realtime`: the answer is the body of a result post.
    Realtime,
}

impl App {
    pub(super) fn new(settings: HttpSettings, requests: Arc<RequestQueue>, identity: WorkerIdentity) -> Self {
        Self {
            settings,
            requests,
            identity,
            own: None,
        }
    }

    /// Adds the program's own routes.
    pub(super) fn with_own(mut self, own: Option<OwnService>) -> Self {
        self.own = own;
        self
    }

    pub(super) async fn answer(&self, request: Request<Body>) -> Response {
        let answered = self.answer_or_refuse(request).await;
        let mut response = answered.unwrap_or_else(|refused| refused.into_response(&self.identity));
        if let Ok(id) = HeaderValue::from_str(&self.settings.worker_id) {
            response.headers_mut().insert(WORKER_ID, id);
        }
        response
    }

    async fn answer_or_refuse(&self, request: Request<Body>) -> Result<Response, Refused> {
        let (parts, body) = request.into_parts();
        callers::check_on_loopback(self.settings.address.ip(), &parts.headers, &parts.uri)
            .map_err(|foreign| Refused::foreign(&foreign).closing_the_connection())?;
        let path = parts.uri.path();
        if path == self.settings.health_path {
            return match parts.method {
                Method::GET | Method::HEAD => Ok(self.health()),
                _ => Err(Refused::method("GET")),
            };
        }
        if let Some(own) = &self.own
            && !(own.is_beside_handler() && parts.method == Method::POST && self.route(path).is_some())
        {
            self.requests
                .is_open()
                .map_err(|why| Refused::no_room(why).closing_the_connection())?;
            return own.answer(Request::from_parts(parts, body)).await;
        }
        let Some(route) = self.route(path) else {
            return Err(Refused::not_found(path, &self.known()));
        };
        if parts.method != Method::POST {
            return Err(Refused::method("POST"));
        }
        // Refused before the body is read.
        self.requests
            .room()
            .map_err(|why| Refused::no_room(why).closing_the_connection())?;
        let body = body::read(&parts.headers, body, self.settings.body_limit).await?;
        let job = match route {
            Route::Bare => request::bare(body)?,
            Route::RunSync | Route::Realtime => request::wrapped(body)?,
        };
        let ticket = self.requests.submit(job).map_err(Refused::no_room)?;
        match route {
            Route::Bare => answer::output(ticket, form(&parts.headers)).await,
            Route::RunSync => answer::status(ticket, &self.settings.worker_id).await,
            Route::Realtime => answer::result(ticket).await,
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        match (path, &self.settings.realtime) {
            (RUN_SYNC, _) => Some(Route::RunSync),
            ("/", None) => Some(Route::Bare),
            (path, Some(realtime)) if path == realtime => Some(Route::Realtime),
            _ => None,
        }
    }

    fn known(&self) -> String {
        let own = self.settings.realtime.as_deref().unwrap_or("/");
        format!("POST {own} or POST {RUN_SYNC}")
    }

    /// 200: send requests. 204: wait, the worker is starting. 503: send them elsewhere.
    fn health(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = match self.requests.health() {
            Health::Starting => StatusCode::NO_CONTENT,
            Health::Ready => StatusCode::OK,
            Health::Closing => StatusCode::SERVICE_UNAVAILABLE,
        };
        response
    }
}

/// The form of a stream that a client accepts: the first known one that it names.
fn form(headers: &HeaderMap) -> Form {
    let wanted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|part| match part.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => Some(Form::Events),
            "application/x-ndjson" | "application/jsonl" | "application/json-lines" => Some(Form::Lines),
            "application/json" => Some(Form::Whole),
            _ => None,
        });
    wanted.unwrap_or(Form::Whole)
}
