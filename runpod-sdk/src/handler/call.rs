//! One job on its way into a handler's function.

use std::future::Future;
use std::mem;

use super::{BlockingHandler, FromContext, Handler, JobInput, Produced};
use crate::context::Context;
use crate::job::JobError;
use crate::json::RawJson;

/// What a handler's arguments are made from.
#[doc(hidden)]
#[derive(Debug)]
pub struct Call<S> {
    input: RawJson,
    context: Context,
    state: S,
}

impl<S> Call<S> {
    pub(super) fn new(input: RawJson, context: Context, state: S) -> Self {
        Self {
            input,
            context,
            state,
        }
    }

    /// Decodes the input, and lets go of its text: that may be many megabytes.
    pub fn input<T: JobInput>(&mut self) -> Result<T, JobError> {
        T::read(&mem::replace(&mut self.input, RawJson::null()))
    }

    /// The job's context.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Makes one of the arguments after the input.
    pub fn argument<T: FromContext<S>>(&self) -> T {
        T::from_context(&self.context, &self.state)
    }
}

/// A function of a [`Call`] as a handler. This is what `#[handler]` makes of the user's function.
#[derive(Debug, Clone)]
pub(crate) struct FromCall<F>(pub(crate) F);

/// Keeps the implementations for [`FromCall`] apart from those for plain functions.
#[derive(Debug)]
pub(crate) enum ByCall {}

impl<S, F, Fut> Handler<S, ByCall> for FromCall<F>
where
    F: Fn(Call<S>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Produced, JobError>> + Send,
{
    fn call(self, call: Call<S>) -> impl Future<Output = Result<Produced, JobError>> + Send {
        (self.0)(call)
    }
}

impl<S, F> BlockingHandler<S, ByCall> for FromCall<F>
where
    F: Fn(Call<S>) -> Result<Produced, JobError> + Clone + Send + Sync + 'static,
{
    fn call(self, call: Call<S>) -> Result<Produced, JobError> {
        (self.0)(call)
    }
}
