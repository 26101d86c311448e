//! The program's own routes: their limits, and what is recorded of their requests.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field, info_span};

use super::held::Held;
use super::refused::Refused;
use super::request_queue::Rejection;
use crate::events::{Events, WorkerEvent};
use crate::panics::guarded;
use crate::web::{Draining, OwnRoutes};

/// The program's own routes, served.
pub(super) struct OwnService {
    routes: OwnRoutes,
    /// The routes with the worker's layers, made at the first request.
    service: OnceLock<TowerToHyperService<Router>>,
    /// Places for requests that are answered at once; `None` beside a handler, which has its slots.
    places: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
    most_waiting: usize,
    body_limit: usize,
    drain: CancellationToken,
    /// Set when the worker is ready.
    events: OnceLock<Events>,
}

/// The route that a request has found, noted in its response.
#[derive(Clone)]
struct Route(MatchedPath);

impl OwnService {
    pub(super) fn new(
        routes: OwnRoutes,
        at_once: usize,
        most_waiting: usize,
        body_limit: usize,
        drain: CancellationToken,
    ) -> Self {
        let at_once = at_once.min(Semaphore::MAX_PERMITS);
        Self {
            places: (!routes.beside_handler).then(|| Arc::new(Semaphore::new(at_once))),
            routes,
            service: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            most_waiting,
            body_limit,
            drain,
            events: OnceLock::new(),
        }
    }

    /// Whether the worker has a handler, too.
    pub(super) fn is_beside_handler(&self) -> bool {
        self.routes.beside_handler
    }

    /// Whether the worker's state is still being loaded.
    #[cfg(test)]
    pub(super) fn is_loading(&self) -> bool {
        self.routes.router().is_none()
    }

    /// Emits the events of requests to these listeners from now on.
    pub(super) fn report_to(&self, events: &Events) {
        let _ = self.events.set(events.clone());
    }

    /// Answers a request of a worker that is ready.
    pub(super) async fn answer(&self, mut request: Request<Body>) -> Result<Response, Refused> {
        let service = self
            .service()
            .ok_or_else(|| Refused::no_room(Rejection::Starting))?;
        let came = Instant::now();
        let place = self
            .place()
            .await
            .map_err(|why| Refused::no_room(why).closing_the_connection())?;
        let held = request.extensions_mut().remove::<Held>().unwrap_or_default();
        request.extensions_mut().insert(Draining::new(self.drain.clone()));
        let method = request.method().to_string();
        let span = info_span!(
            target: "runpod_sdk::request",
            "request",
            http.request.method = %method,
            http.route = field::Empty,
            http.response.status_code = field::Empty,
        );
        #[cfg(feature = "otlp")]
        crate::telemetry::otlp::follow_headers(&span, request.headers());
        let answering = async {
            match service.call(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        };
        let mut response = guarded(answering)
            .instrument(span.clone())
            .await
            .map_err(|panic| Refused::invalid(StatusCode::INTERNAL_SERVER_ERROR, panic))?;
        let route = response.extensions_mut().remove::<Route>();
        let route = route.map(|Route(path)| path.as_str().to_owned());
        span.record("http.route", route.as_deref());
        span.record("http.response.status_code", response.status().as_u16());
        if let Some(events) = self.events.get() {
            events.emit(|| WorkerEvent::RequestAnswered {
                method,
                route,
                status: response.status().as_u16(),
                took: came.elapsed(),
            });
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            held.hold(place);
            return Ok(response);
        }
        Ok(response.map(|body| Body::new(InPlace { body, _place: place })))
    }

    fn service(&self) -> Option<&TowerToHyperService<Router>> {
        let router = self.routes.router()?;
        Some(self.service.get_or_init(|| {
            let router = router
                .clone()
                .layer(DefaultBodyLimit::max(self.body_limit))
                .layer(middleware::from_fn(note_route));
            TowerToHyperService::new(router)
        }))
    }

    /// Waits for a place, if few enough requests wait already.
    async fn place(&self) -> Result<Option<OwnedSemaphorePermit>, Rejection> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Ok(Some(place));
        }
        let _waiting = Waiting::begin(&self.waiting, self.most_waiting).ok_or(Rejection::Full)?;
        tokio::select! {
            biased;
            () = self.drain.cancelled() => Err(Rejection::Closing),
            // The semaphore is never closed.
            place = places.clone().acquire_owned() => Ok(place.ok()),
        }
    }
}

async fn note_route(route: Option<MatchedPath>, request: Request<Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// One of the requests that wait for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let waiting = Self(count);
        // Dropped again, and so taken back, if it is one too many.
        (count.fetch_add(1, Ordering::AcqRel) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of a response. The request keeps its place until the body has been sent.
struct InPlace {
    body: Body,
    _place: Option<OwnedSemaphorePermit>,
}

impl http_body::Body for InPlace {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
