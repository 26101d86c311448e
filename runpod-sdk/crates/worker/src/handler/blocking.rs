//! Blocking handlers: ordinary functions that run on tokio's threads for blocking work.

use std::future::Future;
use std::marker::PhantomData;

use serde_json::Value;

use super::{FromContext, Handler, HandlerResult, JobInput, Produced};
use crate::context::{Context, offload};
use crate::job::JobError;
use crate::json::RawJson;

/// A function that is not async, as a handler.
///
/// Implemented for functions and closures of an input and up to eight extractors. You do not
/// implement it yourself. `M` only keeps the implementations apart.
#[diagnostic::on_unimplemented(
    message = "this is not a blocking handler",
    label = "not a function of an input and extractors that returns a `Result`",
    note = "a blocking handler looks like `fn shrink(input: Picture, ctx: Context) -> JobResult<Small>`",
    note = "put `#[handler(blocking)]` on the function to learn which part does not fit"
)]
pub trait BlockingHandler<S, M>: Clone + Send + Sync + 'static {
    /// Runs the handler for one job, on the thread of the caller.
    #[doc(hidden)]
    fn call(self, input: RawJson, context: Context, state: S) -> Result<Produced, JobError>;

    /// The JSON Schema of its input, if there is one.
    #[doc(hidden)]
    fn schema(&self) -> Option<Value>;
}

/// Runs a blocking handler on a thread that may block.
#[derive(Debug, Clone)]
pub(crate) struct Offload<H>(pub(crate) H);

/// Keeps the implementation for [`Offload`] apart from those for async functions.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByOffload<M>(PhantomData<fn() -> M>);

impl<S, M, H> Handler<S, ByOffload<M>> for Offload<H>
where
    S: Send + 'static,
    H: BlockingHandler<S, M>,
{
    fn call(
        self,
        input: RawJson,
        context: Context,
        state: S,
    ) -> impl Future<Output = Result<Produced, JobError>> + Send {
        offload(context.lease(), move || self.0.call(input, context, state))
    }

    fn schema(&self) -> Option<Value> {
        self.0.schema()
    }
}

macro_rules! impl_blocking_handler {
    ($($extractor:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, reason = "the names come from the macro's arguments")]
        impl<F, R, S, In, $($extractor,)*> BlockingHandler<S, (In, $($extractor,)*)> for F
        where
            F: Fn(In, $($extractor,)*) -> R + Clone + Send + Sync + 'static,
            R: HandlerResult,
            In: JobInput,
            $($extractor: FromContext<S>,)*
        {
            fn call(self, input: RawJson, context: Context, state: S) -> Result<Produced, JobError> {
                let input = In::read(input)?;
                $(let $extractor = $extractor::from_context(&context, &state);)*
                // Only the handler's own arguments are kept while it works.
                drop((context, state));
                self(input, $($extractor,)*).produce()
            }

            fn schema(&self) -> Option<Value> {
                In::schema()
            }
        }
    };
}

impl_blocking_handler!();
impl_blocking_handler!(A);
impl_blocking_handler!(A, B);
impl_blocking_handler!(A, B, C);
impl_blocking_handler!(A, B, C, D);
impl_blocking_handler!(A, B, C, D, E);
impl_blocking_handler!(A, B, C, D, E, G);
impl_blocking_handler!(A, B, C, D, E, G, H);
impl_blocking_handler!(A, B, C, D, E, G, H, I);
