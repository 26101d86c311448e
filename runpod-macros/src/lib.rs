//! The `#[handler]` attribute of `runpod-sdk`, which re-exports it. Depend on that crate.

mod handler;

use proc_macro::TokenStream;

/// Makes a worker of a function.
///
/// The function stays what it is: it can be called, documented and tested like any other. Beside it
/// comes a type of the same name and visibility with one function, `worker()`:
///
/// ```no_run
/// use runpod_sdk::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Greeting {
///     name: String,
/// }
///
/// #[handler]
/// async fn greet(input: Greeting) -> JobResult<String> {
///     Ok(format!("Hello, {}!", input.name))
/// }
///
/// fn main() -> std::process::ExitCode {
///     runpod_sdk::start(greet::worker())
/// }
///
/// #[tokio::test]
/// async fn greets_by_name() {
///     let greeting = greet(Greeting { name: "World".into() }).await;
///     assert_eq!(greeting.unwrap(), "Hello, World!");
/// }
/// ```
///
/// # What a handler takes and returns
///
/// - **The input comes first**: any type that implements `serde::Deserialize` and owns its data. For
///   an input that does not fit, the job fails with the path of the field; the handler is not called.
///   `runpod_sdk::json::RawJson` takes the input as it came.
/// - **Further arguments** are made from the job and the worker: `Context` for progress,
///   cancellation and the deadline, `State<T>` for what all jobs share, or a type of your own that
///   implements `runpod_sdk::handler::FromContext`.
/// - **It returns a `Result`** of any type that implements `serde::Serialize`. Most handlers return
///   `JobResult<T>`, to which `?` converts every error. A type of your own implements
///   `runpod_sdk::IntoJobError`.
///
/// A handler is not generic, takes no references, and is not a method.
///
/// # Options
///
/// | option | default | meaning |
/// |---|---|---|
/// | `concurrency = 4` | 1 | how many jobs run at once |
/// | `timeout = "10m"` | none | how long a job may run: `"90s"`, `"10m"`, `"1h 30m"` |
/// | `state = App` | see below | the type of the worker's state |
/// | `blocking` | off | a `fn` that blocks its thread, run on a thread of its own |
/// | `stream` | off | the function returns a stream; each item is sent as a chunk |
/// | `aggregate` | off | with `stream`: the job's output is the list of all chunks, too |
/// | `merge = "50ms"` | off | with `stream`: text chunks that come within this time are joined to one |
/// | `merge_bytes = 4096` | 4096 | with `merge`: the most bytes of JSON that are joined |
/// | `crate = path` | `::runpod_sdk` | where to find `runpod-sdk` under another name |
///
/// `concurrency` and `timeout` are the same as the methods of the worker, which wins where both are
/// used: `greet::worker().concurrency(8)`.
///
/// # State
///
/// With an argument `State<App>`, `worker()` returns a `Worker<App>`. It can be started once it has
/// been given its state:
///
/// ```
/// use std::sync::Arc;
///
/// use runpod_sdk::prelude::*;
///
/// #[derive(Clone)]
/// struct App {
///     words: Arc<[String]>,
/// }
///
/// #[handler(concurrency = 4)]
/// async fn pick(index: usize, State(app): State<App>) -> JobResult<String> {
///     let word = app.words.get(index);
///     word.cloned().ok_or_else(|| JobError::invalid_input("there is no such word"))
/// }
///
/// let worker = pick::worker().state_with(async || {
///     let words = tokio::fs::read_to_string("words.txt").await?;
///     Ok::<_, std::io::Error>(App { words: words.lines().map(str::to_owned).collect() })
/// });
/// ```
///
/// For parts of the state as arguments of their own, write `impl FromRef<App> for Part`, and say
/// `#[handler(state = App)]` where `State<App>` itself is not among the arguments.
///
/// # Blocking handlers
///
/// Long computations and synchronous libraries would hold up the worker if they ran in an `async fn`.
/// Write a plain `fn` instead. A running thread can't be stopped from outside, so look at
/// `is_cancelled` between pieces of work:
///
/// ```
/// use runpod_sdk::prelude::*;
///
/// #[handler(blocking, timeout = "2m")]
/// fn sum(numbers: Vec<f64>, ctx: Context) -> JobResult<f64> {
///     let mut sum = 0.0;
///     for piece in numbers.chunks(1 << 20) {
///         if ctx.is_cancelled() {
///             return Err("cancelled".into());
///         }
///         sum += piece.iter().sum::<f64>();
///     }
///     Ok(sum)
/// }
/// ```
///
/// # Streaming handlers
///
/// Each item is sent as one chunk, in order, as fast as the chunks can be delivered. An item that is
/// an error ends the job as failed; the chunks before it stay, and the error is the job's only result, also with
/// `aggregate`.
///
/// ```
/// use futures_util::{Stream, stream};
/// use runpod_sdk::prelude::*;
///
/// #[handler(stream, aggregate)]
/// fn count(to: u32) -> impl Stream<Item = JobResult<u32>> {
///     stream::iter((1..=to).map(Ok))
/// }
/// ```
///
/// Each chunk costs a request to the platform. Tokens that come faster than that are joined by `merge`; whatever is
/// not text, an error too, keeps its place between them, and an aggregate lists the chunks as they were posted:
///
/// ```
/// use futures_util::{Stream, stream};
/// use runpod_sdk::prelude::*;
///
/// #[handler(stream, merge = "50ms", merge_bytes = 1024)]
/// fn spell(word: String) -> impl Stream<Item = JobResult<char>> {
///     let letters: Vec<char> = word.chars().collect();
///     stream::iter(letters.into_iter().map(Ok))
/// }
/// ```
///
/// Where making the stream itself may fail, leave out `stream` and return `JobResult<Streaming<S>>`. To answer some
/// jobs with a value and others with a stream, return `JobResult<MaybeStreaming<T, S>>`.
#[proc_macro_attribute]
pub fn handler(options: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(options.into(), &item.into()).into()
}
