//! Adapts the closures that `#[handler]` generates, which take input text, context and state as they are.

use std::future::Future;

use serde_json::Value;

use super::{BlockingHandler, Handler, Produced};
use crate::context::Context;
use crate::job::JobError;
use crate::json::RawJson;

/// A handler made of a closure over input text, context and state.
#[derive(Debug, Clone)]
pub(crate) struct FromParts<F> {
    pub(crate) function: F,
    /// Returns the schema of the input, whose type the closure hides.
    pub(crate) schema: fn() -> Option<Value>,
}

/// A marker that separates the implementations for [`FromParts`] from those for plain functions.
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
