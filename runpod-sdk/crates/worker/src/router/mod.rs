//! A router: several handlers in one worker, selected by a name in the input.

mod envelope;
mod route;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use futures_util::future::try_join_all;

use self::route::{Route, Routes};
use crate::error::StartupError;
use crate::fitness::FitnessCheck;
use crate::handler::ErasedHandler;
use crate::settings::Settings;
use crate::worker::{Loader, Worker, WorkerParts};

/// The default key of the handler's name.
const KEY: &str = "task";

/// A worker with several handlers. A name in the input selects the handler.
///
/// ```no_run
/// use runpod_sdk::prelude::*;
/// use runpod_sdk::Router;
///
/// #[derive(serde::Deserialize)]
/// struct Prompt {
///     prompt: String,
/// }
///
/// #[handler]
/// async fn paint(input: Prompt) -> JobResult<String> {
///     Ok(format!("a picture of {}", input.prompt))
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Picture {
///     url: String,
/// }
///
/// #[handler]
/// async fn describe(input: Picture) -> JobResult<String> {
///     Ok(format!("what {} shows", input.url))
/// }
///
/// fn main() -> std::process::ExitCode {
///     let router = Router::new()
///         .route("paint", paint::worker())
///         .route("describe", describe::worker());
///     runpod_sdk::start(router.into_worker())
/// }
/// ```
///
/// A job of this worker is `{"input": {"task": "paint", "prompt": "a cat"}}`. The handler's input is the object
/// without the name, byte for byte; see [`nested`](Self::nested) for handlers whose input is no object. An unknown or
/// missing name fails the job as `INVALID_INPUT`, with the list of names and the one that was probably meant.
///
/// # What the handlers' own workers decide
///
/// Each handler keeps its type of input, its state and its JSON Schema. States are loaded concurrently at the start.
/// Fitness checks run concurrently too; if several fail, the first of the first route is reported. `timeout` and
/// `refresh_worker` apply to the jobs of that handler. `concurrency` limits how many jobs of that handler run at once;
/// a job beyond that waits in its slot. For an adaptive concurrency the upper bound counts. The worker as a whole runs
/// as many jobs as the largest of these, unless it is set otherwise. All other options are those of the worker that
/// [`into_worker`](Self::into_worker) returns.
#[derive(Default)]
#[must_use = "a router does nothing until it is made a worker"]
pub struct Router {
    key: Option<String>,
    nested: bool,
    default: Option<String>,
    routes: Vec<(String, Worker)>,
}

impl Router {
    /// A router without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends jobs with this name to the handler of `worker`. Names are unique.
    pub fn route(mut self, name: impl Into<String>, worker: Worker) -> Self {
        self.routes.push((name.into(), worker));
        self
    }

    /// The key that names the handler. Default `task`.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The route of inputs without a name, which arrive unchanged. Default: none, such a job fails.
    ///
    /// With it a worker that gets a second handler keeps its existing callers.
    pub fn default_route(mut self, name: impl Into<String>) -> Self {
        self.default = Some(name.into());
        self
    }

    /// The handler's input is the value of the key `input` beside the name: `{"task": "double", "input": 21}`. Use it
    /// for handlers whose input is not an object. Default: off.
    pub fn nested(mut self) -> Self {
        self.nested = true;
        self
    }

    /// The worker that runs all of them.
    ///
    /// A duplicate name, a default that is not a route, and a router without routes are reported when the worker
    /// starts: it exits with code 1.
    pub fn into_worker(self) -> Worker {
        let problems = self.problems();
        let key: Arc<str> = self.key.as_deref().unwrap_or(KEY).into();
        let mut checks: Vec<FitnessCheck> = Vec::new();
        let mut widest = 1;
        let mut schemas = Vec::new();
        let mut loading = Vec::new();
        for (name, worker) in self.routes {
            schemas.push((name.clone(), worker.schema()));
            let WorkerParts {
                settings,
                fitness,
                load,
                ..
            } = worker.into_parts();
            checks.extend(fitness);
            widest = widest.max(settings.concurrency.most());
            loading.push((name, settings, load));
        }
        let (nested, default) = (self.nested, self.default);
        let schema = {
            let (key, default) = (key.clone(), default.clone());
            move || Some(schema::of_routes(&key, nested, default.as_deref(), &schemas))
        };
        let load: Loader = Box::new(move || {
            Box::pin(async move {
                if !problems.is_empty() {
                    return Err(StartupError::Routes(problems));
                }
                let all = try_join_all(loading.into_iter().map(load_route)).await?;
                let routes = Routes {
                    key,
                    nested,
                    default,
                    all,
                };
                Ok(Arc::new(routes) as Arc<dyn ErasedHandler>)
            })
        });
        Worker::from_loader(load, schema, checks).concurrency(widest)
    }

    /// The problems of the routes, one line for each.
    fn problems(&self) -> Vec<String> {
        let names: Vec<&str> = self.routes.iter().map(|(name, _)| name.as_str()).collect();
        let mut problems = Vec::new();
        if names.is_empty() {
            problems.push("the router has no routes".to_owned());
        }
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                problems.push(format!("the router has two routes called {name:?}"));
            }
        }
        if let Some(default) = self.default.as_deref().filter(|default| !names.contains(default)) {
            problems.push(format!(
                "the router's default route {default:?} is not one of its routes"
            ));
        }
        problems
    }
}

async fn load_route((name, settings, load): (String, Settings, Loader)) -> Result<Arc<Route>, StartupError> {
    match load().await {
        Ok(handler) => Ok(Arc::new(Route::new(name, &settings, handler))),
        Err(source) => Err(StartupError::Route {
            name,
            source: Box::new(source),
        }),
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.routes.iter().map(|(name, _)| name);
        f.debug_struct("Router")
            .field("routes", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
