//! Finds the handler of an input by its name, and runs it within the limits of its route.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::envelope::{self, Envelope, NESTED, Name};
use crate::context::{Context, Lease};
use crate::handler::{ErasedHandler, Produced};
use crate::job::{InputProblem, JobError};
use crate::json::{RawJson, excerpt, hint};
use crate::settings::Settings;
use runpod_protocol::nearest;

const MISSING: &str = "required, and missing";

/// All routes of a router, as one handler.
pub(super) struct Routes {
    pub(super) key: Arc<str>,
    pub(super) nested: bool,
    /// The route of inputs without a name.
    pub(super) default: Option<String>,
    pub(super) all: Vec<Arc<Route>>,
}

/// One handler, with the options of its own worker.
pub(super) struct Route {
    name: String,
    timeout: Option<Duration>,
    refresh: bool,
    /// One permit for each job that may run at once.
    room: Arc<Semaphore>,
    handler: Arc<dyn ErasedHandler>,
}

/// The permit of a job, beside its slot. A blocking handler may hold it after the job has ended.
struct RoutePermit {
    _permit: OwnedSemaphorePermit,
    _slot: Option<Arc<Lease>>,
}

impl Route {
    pub(super) fn new(name: String, settings: &Settings, handler: Arc<dyn ErasedHandler>) -> Self {
        let jobs = settings.concurrency.most().min(Semaphore::MAX_PERMITS);
        Self {
            name,
            timeout: settings.timeout,
            refresh: settings.refresh,
            room: Arc::new(Semaphore::new(jobs)),
            handler,
        }
    }

    async fn run(&self, input: RawJson, context: Context) -> Result<Produced, JobError> {
        if self.refresh {
            context.refresh_worker();
        }
        let place: Arc<Lease> = Arc::new(RoutePermit {
            _permit: self.permit().await,
            _slot: context.lease(),
        });
        let context = context.with_lease(Arc::downgrade(&place));
        let produced = self.handler.call(input, context).await?;
        Ok(match produced {
            Produced::Value(_) => produced,
            // The job occupies its route until its stream has ended.
            Produced::Chunks { stream, aggregate } => Produced::Chunks {
                stream: Box::pin(PermitStream {
                    stream,
                    _place: place,
                }),
                aggregate,
            },
        })
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        match self.room.clone().acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Routes {
    /// Finds the route of an input.
    fn find(&self, envelope: &Envelope) -> Result<&Arc<Route>, JobError> {
        let name = match (&envelope.name, &self.default) {
            (Some(Name::Text(name)), _) => name,
            (Some(Name::Other(kind)), _) => {
                return Err(self.refused(format!("expected string, found {kind}"), None));
            }
            (None, Some(default)) => default,
            (None, None) => return Err(self.refused(MISSING.to_owned(), None)),
        };
        self.all.iter().find(|route| route.name == *name).ok_or_else(|| {
            let meant = nearest(name, self.names());
            self.refused(format!("unknown name {}", excerpt(name)), meant)
        })
    }

    /// Finds the route of an input, and the input of its handler.
    fn open(&self, input: &RawJson) -> Result<(&Arc<Route>, RawJson), JobError> {
        let envelope = envelope::open(input, &self.key);
        let route = self.find(&envelope)?;
        match envelope.rest(input, self.nested) {
            Some(rest) => Ok((route, rest)),
            None => Err(JobError::invalid_inputs(vec![InputProblem::new(NESTED, MISSING)])),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|route| route.name.as_str())
    }

    fn refused(&self, problem: String, meant: Option<&str>) -> JobError {
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let hint = hint(meant, &names).unwrap_or_default();
        JobError::invalid_inputs(vec![InputProblem::new(&*self.key, problem).with_hint(hint)])
    }
}

impl ErasedHandler for Routes {
    fn call(&self, input: RawJson, context: Context) -> BoxFuture<'static, Result<Produced, JobError>> {
        match self.open(&input) {
            Ok((route, rest)) => {
                let route = route.clone();
                Box::pin(async move { route.run(rest, context).await })
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn timeout(&self, input: &RawJson) -> Option<Duration> {
        let envelope = envelope::open(input, &self.key);
        let route = self.find(&envelope).ok()?;
        let inner = if route.handler.is_routed() {
            envelope
                .rest(input, self.nested)
                .and_then(|rest| route.handler.timeout(&rest))
        } else {
            None
        };
        route.timeout.into_iter().chain(inner).min()
    }

    fn is_routed(&self) -> bool {
        true
    }
}

/// A stream that holds its permit until it is dropped.
struct PermitStream<S> {
    stream: S,
    _place: Arc<Lease>,
}

impl<S: futures_util::Stream + Unpin> futures_util::Stream for PermitStream<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        std::pin::Pin::new(&mut self.stream).poll_next(context)
    }
}
