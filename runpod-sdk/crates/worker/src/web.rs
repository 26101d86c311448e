//! A web program's own routes, on a worker that answers HTTP requests itself.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

/// Tells the handler of a route that the worker stops. An argument of the handler, as axum's extractors are.
///
/// A response ends by itself. A WebSocket does not, and holds up the worker's end for as long as the
/// [grace](crate::Worker::shutdown_grace) lasts, so its loop should wait for this as well:
///
/// ```
/// use axum::response::Response;
/// use runpod_sdk::web::Draining;
///
/// async fn chat(draining: Draining) -> String {
///     tokio::select! {
///         () = draining.started() => "goodbye".to_owned(),
///         said = std::future::ready("hello".to_owned()) => said,
///     }
/// }
/// ```
///
/// Outside of a worker, as in a test that calls the router itself, it never starts.
#[derive(Clone, Debug, Default)]
pub struct Draining(CancellationToken);

impl Draining {
    pub(crate) fn new(drain: CancellationToken) -> Self {
        Self(drain)
    }

    /// Waits until the worker has got SIGTERM or SIGINT, or ends for another reason.
    pub async fn started(&self) {
        self.0.cancelled().await;
    }

    /// Whether the worker stops.
    pub fn has_started(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl<S: Sync> FromRequestParts<S> for Draining {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Makes the router from the worker's state.
type MakeRouter<S> = Box<dyn FnOnce(S) -> Router + Send>;

/// The routes that a program has given to its worker.
pub(crate) struct Routes<S> {
    make: Option<MakeRouter<S>>,
    own: Option<OwnRoutes>,
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self {
            make: None,
            own: None,
        }
    }
}

impl<S> Routes<S> {
    pub(crate) fn new(make: impl FnOnce(S) -> Router + Send + 'static, beside_handler: bool) -> Self {
        Self {
            make: Some(Box::new(make)),
            own: Some(OwnRoutes {
                router: Arc::default(),
                beside_handler,
            }),
        }
    }

    /// The routes for the server, if there are any.
    pub(crate) fn own(&self) -> Option<OwnRoutes> {
        self.own.clone()
    }

    /// The call that makes the router once the state is there, and the routes of the worker that has its state.
    pub(crate) fn bind<T>(self) -> (impl FnOnce(S) + Send + use<S, T>, Routes<T>) {
        let Self { make, own } = self;
        let bound = Routes {
            make: None,
            own: own.clone(),
        };
        let load = move |state| {
            if let (Some(make), Some(own)) = (make, own) {
                let _ = own.router.set(make(state));
            }
        };
        (load, bound)
    }
}

/// A router that is there once the worker's state has been loaded. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct OwnRoutes {
    router: Arc<OnceLock<Router>>,
    /// Whether the worker has a handler, too, to which its own routes belong.
    pub(crate) beside_handler: bool,
}

impl OwnRoutes {
    pub(crate) fn router(&self) -> Option<&Router> {
        self.router.get()
    }
}
