//! What `#[handler]` makes of a function: a closure that takes the parts of a job as they are.

use std::future::Future;

use serde_json::Value;

use super::{BlockingHandler, Handler, Produced};
use crate::context::Context;
use crate::job::JobError;
use crate::json::RawJson;

/// A closure of input text, context and state as a handler.
#[derive(Debug, Clone)]
pub(crate) struct FromParts<F> {
    pub(crate) function: F,
    /// Describes the input, whose type the closure no longer shows.
    pub(crate) schema: fn() -> Option<Value>,
}

/// Keeps the implementations for [`FromParts`] apart from those for plain functions.
#[derive(Debug)]
pub(crate) enum ByParts {}

impl<S, F, Fut> Handler<S, ByParts> for FromParts<F>
where
    F: Fn(RawJson, Context, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Produced, JobError>> + Send,
{
    fn call(
        self,
        input: RawJson,
        context: Context,
        state: S,
    ) -> impl Future<Output = Result<Produced, JobError>> + Send {
        (self.function)(input, context, state)
    }

    fn schema(&self) -> Option<Value> {
        (self.schema)()
    }
}

impl<S, F> BlockingHandler<S, ByParts> for FromParts<F>
where
    F: Fn(RawJson, Context, S) -> Result<Produced, JobError> + Clone + Send + Sync + 'static,
{
    fn call(self, input: RawJson, context: Context, state: S) -> Result<Produced, JobError> {
        (self.function)(input, context, state)
    }

    fn schema(&self) -> Option<Value> {
        (self.schema)()
    }
}
