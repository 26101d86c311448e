//! Handlers as the runtime sees them, made with and without the attribute.
#![cfg(feature = "macros")]

use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde::Deserialize;
use tracing::Instrument;
use tracing_subscriber::layer::{self, Layer, SubscriberExt};

use super::{FromRef, Produced};
use crate::job::{ErrorCode, Job};
use crate::json::RawJson;
use crate::prelude::*;

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

#[derive(Clone)]
struct App {
    word: Arc<str>,
}

impl FromRef<App> for Arc<str> {
    fn from_ref(app: &App) -> Self {
        app.word.clone()
    }
}

fn app() -> App {
    App { word: "Hello".into() }
}

/// Runs one job of the id `j-1`.
async fn run(worker: Worker, input: &str) -> JobResult<Produced> {
    let load = worker.into_parts().load;
    let handler = load().await.unwrap();
    let input = RawJson::parse(input.to_owned()).unwrap();
    let job = Job::new("j-1", input.clone());
    let (context, _progress) = Context::alone(job);
    handler.call(input, context).await
}

/// The output of a job as JSON text.
async fn output(worker: Worker, input: &str) -> String {
    match run(worker, input).await.unwrap() {
        Produced::Value(value) => value.as_str().to_owned(),
        other @ Produced::Chunks { .. } => panic!("{other:?}"),
    }
}

/// The chunks of a job as JSON texts, and whether they are to be aggregated.
async fn chunks(worker: Worker, input: &str) -> (Vec<Result<String, String>>, bool) {
    match run(worker, input).await.unwrap() {
        Produced::Chunks { stream, aggregate } => {
            let texts = stream.map(|chunk| match chunk {
                Ok(chunk) => Ok(chunk.as_str().to_owned()),
                Err(error) => Err(error.message().to_owned()),
            });
            (texts.collect().await, aggregate)
        }
        other @ Produced::Value(_) => panic!("{other:?}"),
    }
}

mod asynchronous {
    use super::*;

    #[handler]
    async fn greet(input: Greeting, ctx: Context, State(word): State<App>) -> JobResult<String> {
        tokio::task::yield_now().await;
        Ok(format!("{}, {}! ({})", word.word, input.name, ctx.job_id()))
    }

    #[handler(state = App)]
    async fn part(name: String, State(word): State<Arc<str>>) -> JobResult<String> {
        Ok(format!("{word}, {name}!"))
    }

    #[tokio::test]
    async fn arguments_come_from_the_job_and_the_state() {
        let text = output(greet::worker().state(app()), r#"{"name": "World"}"#).await;
        assert_eq!(text, r#""Hello, World! (j-1)""#);
    }

    #[tokio::test]
    async fn a_part_of_the_state_is_an_argument() {
        assert_eq!(
            output(part::worker().state(app()), r#""World""#).await,
            r#""Hello, World!""#
        );
    }

    #[tokio::test]
    async fn a_plain_function_is_the_same_without_the_attribute() {
        let text = output(Worker::new(greet).state(app()), r#"{"name": "World"}"#).await;
        assert_eq!(text, r#""Hello, World! (j-1)""#);
    }

    #[tokio::test]
    async fn a_bad_input_names_the_path_of_the_field() {
        for worker in [greet::worker(), Worker::new(greet)] {
            let error = run(worker.state(app()), r#"{"name": 1}"#).await.unwrap_err();
            assert_eq!(error.code(), &ErrorCode::INVALID_INPUT);
            assert_eq!(error.details().unwrap()["path"], "name");
        }
    }
}

mod blocking {
    use super::*;

    #[handler(blocking)]
    fn shrink(n: u32, ctx: Context, State(word): State<App>) -> JobResult<String> {
        Ok(format!("{} {} {n}", word.word, ctx.job_id()))
    }

    #[handler(blocking)]
    fn sleep(_input: RawJson) -> JobResult<()> {
        std::thread::sleep(std::time::Duration::from_millis(20));
        Ok(())
    }

    #[handler(blocking)]
    fn fall(text: String) -> JobResult<()> {
        std::panic::panic_any(text)
    }

    #[handler(blocking)]
    fn thread(_input: RawJson) -> JobResult<String> {
        Ok(this_thread())
    }

    fn this_thread() -> String {
        format!("{:?}", std::thread::current().id())
    }

    /// The threads on which a span was entered.
    #[derive(Clone, Default)]
    struct Entered(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Entered {
        fn on_enter(&self, _: &tracing::Id, _: layer::Context<'_, S>) {
            self.0.lock().push(this_thread());
        }
    }

    #[tokio::test]
    async fn arguments_come_from_the_job_and_the_state() {
        let text = output(shrink::worker().state(app()), "7").await;
        assert_eq!(text, r#""Hello j-1 7""#);
        let text = output(Worker::blocking(shrink).state(app()), "7").await;
        assert_eq!(text, r#""Hello j-1 7""#);
    }

    #[tokio::test]
    async fn the_runtime_goes_on_while_a_handler_blocks() {
        let mut job = std::pin::pin!(run(sleep::worker(), "null"));
        let mut turns = 0;
        while job.as_mut().now_or_never().is_none() {
            turns += 1;
            tokio::task::yield_now().await;
        }
        assert!(turns > 1, "the job blocked the runtime's only thread");
    }

    #[tokio::test]
    async fn a_panic_is_the_jobs_error() {
        let error = run(fall::worker(), r#""ouch""#).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (&ErrorCode::PANIC, "ouch"));
    }

    #[handler]
    async fn part(text: String, ctx: Context) -> JobResult<String> {
        let job = ctx.clone();
        ctx.blocking(move || match &*text {
            "panics" => panic!("ouch"),
            "fails" => Err(JobError::invalid_input("no")),
            _ if job.is_cancelled() => Err(JobError::message_only("cancelled")),
            _ => Ok(this_thread()),
        })
        .await
    }

    #[tokio::test]
    async fn a_blocking_part_of_a_job_has_a_thread_of_its_own_in_the_jobs_span() {
        let entered = Entered::default();
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(entered.clone()));
        let job = output(part::worker(), r#""""#).instrument(tracing::info_span!("job"));
        let thread: String = serde_json::from_str(&job.await).unwrap();
        assert_ne!(thread, this_thread());
        assert!(entered.0.lock().contains(&thread));
    }

    #[tokio::test]
    async fn a_panic_or_an_error_of_a_blocking_part_is_the_jobs() {
        let error = run(part::worker(), r#""panics""#).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (&ErrorCode::PANIC, "ouch"));
        let error = run(part::worker(), r#""fails""#).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_INPUT);
    }

    #[tokio::test]
    async fn the_span_of_the_job_is_entered() {
        let entered = Entered::default();
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(entered.clone()));
        let job = output(thread::worker(), "null").instrument(tracing::info_span!("job"));
        let thread: String = serde_json::from_str(&job.await).unwrap();
        assert_ne!(thread, this_thread());
        assert!(entered.0.lock().contains(&thread));
    }

    #[tokio::test]
    async fn a_bad_input_names_the_path_of_the_field() {
        let error = run(Worker::blocking(|_: Greeting| JobResult::Ok(())), "{}")
            .await
            .unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_INPUT);
    }
}

mod streaming {
    use super::*;

    #[handler(stream)]
    fn count(to: u32) -> impl Stream<Item = JobResult<u32>> {
        stream::iter((1..=to).map(|n| {
            if n < 3 {
                Ok(n)
            } else {
                Err("three is too much".into())
            }
        }))
    }

    #[handler(stream, aggregate)]
    async fn repeat(times: usize, State(word): State<App>) -> impl Stream<Item = Result<String, String>> {
        tokio::task::yield_now().await;
        stream::iter(std::iter::repeat_n(Ok(word.word.to_string()), times))
    }

    #[tokio::test]
    async fn items_become_chunks_in_order() {
        let (chunks, aggregate) = chunks(count::worker(), "2").await;
        assert_eq!(chunks, [Ok("1".to_owned()), Ok("2".to_owned())]);
        assert!(!aggregate);
    }

    #[tokio::test]
    async fn an_error_comes_after_the_good_items() {
        let (chunks, _) = chunks(count::worker(), "3").await;
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[2], Err("three is too much".to_owned()));
    }

    #[tokio::test]
    async fn an_aggregate_is_asked_for_by_a_word() {
        let (chunks, aggregate) = chunks(repeat::worker().state(app()), "1").await;
        assert_eq!(chunks, [Ok(r#""Hello""#.to_owned())]);
        assert!(aggregate);
    }

    #[handler(stream, merge = "1h", merge_bytes = 7)]
    fn spell(word: String) -> impl Stream<Item = JobResult<char>> {
        stream::iter(word.chars().map(Ok).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn text_is_merged_as_the_attribute_says() {
        let (chunks, _) = chunks(spell::worker(), r#""hello world""#).await;
        let chunks: Vec<String> = chunks.into_iter().map(Result::unwrap).collect();
        assert_eq!(chunks, [r#""hello""#, r#"" worl""#, r#""d""#]);
    }

    #[handler]
    async fn either(to: u32) -> JobResult<MaybeStreaming<String, impl Stream<Item = JobResult<u32>>>> {
        Ok(match to {
            0 => MaybeStreaming::Value("nothing".to_owned()),
            _ => MaybeStreaming::Chunks(Streaming::new(stream::iter((1..=to).map(Ok))).aggregated()),
        })
    }

    #[tokio::test]
    async fn a_value_or_a_stream_is_chosen_for_each_job() {
        assert_eq!(output(either::worker(), "0").await, r#""nothing""#);
        let (chunks, aggregate) = chunks(either::worker(), "2").await;
        assert_eq!(chunks, [Ok("1".to_owned()), Ok("2".to_owned())]);
        assert!(aggregate);
    }

    #[tokio::test]
    async fn the_stream_is_read_only_as_fast_as_asked_for() {
        static MADE: AtomicUsize = AtomicUsize::new(0);

        #[handler(stream)]
        fn endless(_input: RawJson) -> impl Stream<Item = JobResult<usize>> {
            stream::repeat_with(|| Ok(MADE.fetch_add(1, Ordering::Relaxed)))
        }

        let Ok(Produced::Chunks { mut stream, .. }) = run(endless::worker(), "null").await else {
            panic!("no stream")
        };
        assert!(stream.next().await.is_some());
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
