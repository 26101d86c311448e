//! Extractors: the arguments that a handler may take beside its input.

use crate::context::Context;

/// An argument of a handler that is made from the job's context and the worker's state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of this handler",
    label = "not available from the job's context or a worker's state of type `{S}`",
    note = "after the input, a handler may take `Context` and `State<T>`",
    note = "`State<T>` needs `T` to be the worker's state, or `impl FromRef<WorkerState> for T`"
)]
pub trait FromContext<S>: Send {
    /// Makes the argument.
    fn from_context(context: &Context, state: &S) -> Self;
}

impl<S> FromContext<S> for Context {
    fn from_context(context: &Context, _: &S) -> Self {
        context.clone()
    }
}

/// A part of the worker's state. It is cloned for each job, so keep large things in an `Arc`.
///
/// ```
/// use runpod_sdk::prelude::*;
///
/// #[derive(Clone)]
/// struct App {
///     greeting: std::sync::Arc<str>,
/// }
///
/// #[handler]
/// async fn greet(name: String, State(app): State<App>) -> JobResult<String> {
///     Ok(format!("{}, {name}!", app.greeting))
/// }
///
/// let worker = greet::worker().state(App { greeting: "Hello".into() });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

impl<S, T: FromRef<S> + Send> FromContext<S> for State<T> {
    fn from_context(_: &Context, state: &S) -> Self {
        Self(T::from_ref(state))
    }
}

/// Extracts a part of the worker's state.
#[diagnostic::on_unimplemented(
    message = "the worker's state `{S}` holds no `{Self}`",
    label = "not the worker's state, nor a part of it",
    note = "if it is the state itself, write `#[handler(state = {Self})]`",
    note = "if it is a part of it, write `impl FromRef<{S}> for {Self}`"
)]
pub trait FromRef<S> {
    /// Clones the part out of the state.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> Self {
        state.clone()
    }
}
