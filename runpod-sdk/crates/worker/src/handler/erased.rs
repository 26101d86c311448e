//! Type erasure of handlers: the runtime holds all of them as one type, so that it compiles once. It costs one
//! allocation per job.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Handler, Produced};
use crate::context::Context;
use crate::job::JobError;
use crate::json::RawJson;

/// An erased handler that still needs its state.
pub(crate) trait ErasedWithState<S>: Send + Sync {
    fn call(
        &self,
        input: RawJson,
        context: Context,
        state: S,
    ) -> BoxFuture<'static, Result<Produced, JobError>>;
}

/// An erased handler that has its state.
pub(crate) trait ErasedHandler: Send + Sync {
    fn call(&self, input: RawJson, context: Context) -> BoxFuture<'static, Result<Produced, JobError>>;

    /// The time limit of a job with this input, if the handler sets one.
    fn timeout(&self, _input: &RawJson) -> Option<Duration> {
        None
    }

    /// Whether this is a router of several handlers.
    fn is_routed(&self) -> bool {
        false
    }
}

struct Erased<H, M> {
    handler: H,
    marker: PhantomData<fn() -> M>,
}

pub(crate) fn erase<S, M, H>(handler: H) -> Arc<dyn ErasedWithState<S>>
where
    S: Send + Sync + 'static,
    M: 'static,
    H: Handler<S, M>,
{
    Arc::new(Erased {
        handler,
        marker: PhantomData,
    })
}

impl<S: Send + Sync + 'static, M: 'static, H: Handler<S, M>> ErasedWithState<S> for Erased<H, M> {
    fn call(
        &self,
        input: RawJson,
        context: Context,
        state: S,
    ) -> BoxFuture<'static, Result<Produced, JobError>> {
        Box::pin(self.handler.clone().call(input, context, state))
    }
}

/// A handler together with its state.
pub(crate) struct Bound<S> {
    pub(crate) handler: Arc<dyn ErasedWithState<S>>,
    pub(crate) state: S,
}

impl<S: Clone + Send + Sync + 'static> ErasedHandler for Bound<S> {
    fn call(&self, input: RawJson, context: Context) -> BoxFuture<'static, Result<Produced, JobError>> {
        self.handler.call(input, context, self.state.clone())
    }
}

impl<S> fmt::Debug for Bound<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound")
    }
}
