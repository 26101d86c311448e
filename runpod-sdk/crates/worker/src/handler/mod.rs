//! Handlers: ordinary functions, and how the runtime calls them.
//!
//! A handler's first argument is the job's input, decoded from JSON. Further arguments are
//! *extractors*: anything that implements [`FromContext`], such as [`Context`] or [`State`]. It
//! returns `Result<T, E>`, where `T` is anything that serialises, or [`Streaming`], or [`MaybeStreaming`].
//!
//! `#[handler]` makes a worker of an `async fn`, of a `fn` that blocks its thread, or of one that returns a stream,
//! and its compile errors name the part that does not fit. Without it, [`Worker::new`](crate::Worker::new) takes an
//! async function or closure, and [`Worker::blocking`](crate::Worker::blocking) one that blocks.

mod adapt;
mod blocking;
mod erased;
mod extract;
mod merge;
mod output;
#[cfg(test)]
mod tests;

use std::future::Future;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use crate::job::JobError;
use crate::json::RawJson;

pub(crate) use adapt::FromParts;
pub(crate) use blocking::Offload;
pub use blocking::{BlockingHandler, ByOffload};
pub(crate) use erased::{Bound, ErasedHandler, ErasedWithState, erase};
pub use extract::{FromContext, FromRef, State};
pub(crate) use merge::is_text;
pub use output::{
    Chunk, ChunkResult, ChunkStream, HandlerResult, LARGEST_CHUNK, MaybeStreaming, Output, Produced,
    Streaming,
};

/// A type that a handler can take as its input: any type that decodes from JSON and borrows nothing.
///
/// [`RawJson`] takes the input as it arrived.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the input of a handler",
    label = "does not decode from JSON",
    note = "derive `serde::Deserialize` for it, and let it own its data (`String`, not `&str`)",
    note = "to take the input as it came, use `runpod_sdk::json::RawJson`",
    note = "the first argument is the input; `Context` and `State` come after it"
)]
pub trait JobInput: Sized + 'static {
    /// Decodes the input; the error names the path of the field that did not fit.
    ///
    /// Takes the text by value, so that its many megabytes are not held while the handler works.
    #[doc(hidden)]
    fn read(raw: RawJson) -> Result<Self, JobError>;

    /// The JSON Schema of the input, if its type has one.
    #[doc(hidden)]
    fn schema() -> Option<Value> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> JobInput for T {
    fn read(raw: RawJson) -> Result<Self, JobError> {
        raw.decode()
            .map_err(|error| JobError::invalid_inputs(vec![error.readable().into()]))
    }
}

/// An async function that the runtime can call.
///
/// Implemented for functions and closures of an input and up to eight extractors. You do not
/// implement it yourself. `M` only keeps the implementations apart.
#[diagnostic::on_unimplemented(
    message = "this is not a handler",
    label = "not an async function of an input and extractors that returns a `Result`",
    note = "a handler looks like `async fn paint(input: Prompt, ctx: Context) -> JobResult<Picture>`",
    note = "put `#[handler]` on the function to learn which part does not fit"
)]
pub trait Handler<S, M>: Clone + Send + Sync + 'static {
    /// Runs the handler for one job.
    #[doc(hidden)]
    fn call(
        self,
        input: RawJson,
        context: Context,
        state: S,
    ) -> impl Future<Output = Result<Produced, JobError>> + Send;

    /// The JSON Schema of its input, if there is one.
    #[doc(hidden)]
    fn schema(&self) -> Option<Value>;
}

macro_rules! impl_handler {
    ($($extractor:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, reason = "the names come from the macro's arguments")]
        impl<F, Fut, S, In, $($extractor,)*> Handler<S, (In, $($extractor,)*)> for F
        where
            F: Fn(In, $($extractor,)*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future + Send,
            Fut::Output: HandlerResult,
            S: Send + Sync + 'static,
            In: JobInput,
            $($extractor: FromContext<S>,)*
        {
            async fn call(self, input: RawJson, context: Context, state: S) -> Result<Produced, JobError> {
                let input = In::read(input)?;
                $(let $extractor = $extractor::from_context(&context, &state);)*
                // Only the handler's own arguments are kept while it works.
                drop((context, state));
                self(input, $($extractor,)*).await.produce()
            }

            fn schema(&self) -> Option<Value> {
                In::schema()
            }
        }
    };
}

impl_handler!();
impl_handler!(A);
impl_handler!(A, B);
impl_handler!(A, B, C);
impl_handler!(A, B, C, D);
impl_handler!(A, B, C, D, E);
impl_handler!(A, B, C, D, E, G);
impl_handler!(A, B, C, D, E, G, H);
impl_handler!(A, B, C, D, E, G, H, I);
