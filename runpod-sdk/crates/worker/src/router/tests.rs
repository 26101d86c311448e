//! Routed jobs in a whole worker.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Router;
use crate::context::CancelReason;
use crate::json::RawJson;
use crate::prelude::*;
use crate::testing::{Harness, JobRun};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    prompt: String,
}

fn paint() -> Worker {
    Worker::new(|input: Prompt| async move { JobResult::Ok(format!("a picture of {}", input.prompt)) })
}

fn double() -> Worker {
    Worker::new(|n: u32| async move { JobResult::Ok(n * 2) })
}

fn echo() -> Worker {
    Worker::new(|input: RawJson| async move { JobResult::Ok(input) })
}

fn count() -> Worker {
    Worker::new(|input: RawJson| async move {
        let to: Value = input.decode()?;
        let to = to["to"].as_u64().unwrap_or_default();
        JobResult::Ok(Streaming::new(stream::iter((1..=to).map(JobResult::Ok))).aggregated())
    })
}

async fn run(router: Router, input: Value) -> JobRun {
    Harness::new(router.into_worker()).submit(input).finished().await
}

fn errors(run: &JobRun) -> Value {
    match &run.end {
        crate::testing::JobEnd::Failed(error) => error["details"]["errors"].clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_chooses_the_handler_and_the_handler_never_sees_it() {
    let router = || Router::new().route("paint", paint()).route("echo", echo());
    let painted = run(router(), json!({ "prompt": "a cat", "task": "paint" })).await;
    assert_eq!(painted.output(), Some(&json!("a picture of a cat")));
    let echoed = run(router(), json!({ "task": "echo", "n": 1 })).await;
    assert_eq!(echoed.output(), Some(&json!({ "n": 1 })));
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_list_and_the_nearest() {
    let router = Router::new().route("paint", paint()).route("upscale", echo());
    let failed = run(router, json!({ "task": "pant" })).await;
    assert_eq!(failed.error_code(), Some("INVALID_INPUT"));
    assert_eq!(
        errors(&failed),
        json!([{
            "path": "task",
            "problem": "unknown name \"pant\"",
            "hint": "did you mean \"paint\"? one of: paint, upscale",
        }])
    );
}

#[tokio::test]
async fn a_missing_name_is_an_error_unless_there_is_a_default() {
    let router = || {
        Router::new()
            .key("handler")
            .route("paint", paint())
            .route("double", double())
    };
    let failed = run(router(), json!({ "prompt": "a cat" })).await;
    assert_eq!(
        errors(&failed),
        json!([{ "path": "handler", "problem": "required, and missing", "hint": "one of: paint, double" }])
    );
    let ran = run(router().default_route("paint"), json!({ "prompt": "a cat" })).await;
    assert_eq!(ran.output(), Some(&json!("a picture of a cat")));
    let ran = run(router().default_route("double"), json!(21)).await;
    assert_eq!(
        ran.output(),
        Some(&json!(42)),
        "an input that is no object goes to the default, too"
    );
}

#[tokio::test]
async fn a_name_that_is_no_text_is_told_by_its_type() {
    let failed = run(Router::new().route("echo", echo()), json!({ "task": 7 })).await;
    assert_eq!(errors(&failed)[0]["problem"], "expected string, found number");
}

#[tokio::test]
async fn a_long_name_is_not_echoed_whole() {
    let failed = run(
        Router::new().route("echo", echo()),
        json!({ "task": "x".repeat(100_000) }),
    )
    .await;
    assert!(failed.error_message().unwrap().len() < 200);
}

#[tokio::test]
async fn a_nested_input_may_be_anything() {
    let router = || Router::new().nested().route("double", double());
    let ran = run(router(), json!({ "task": "double", "input": 21 })).await;
    assert_eq!(ran.output(), Some(&json!(42)));
    let failed = run(router(), json!({ "task": "double" })).await;
    assert_eq!(
        errors(&failed),
        json!([{ "path": "input", "problem": "required, and missing" }])
    );
}

#[tokio::test]
async fn a_streaming_handler_streams_through_a_router() {
    let ran = run(
        Router::new().route("count", count()),
        json!({ "task": "count", "to": 3 }),
    )
    .await;
    assert_eq!(ran.chunks, [1, 2, 3]);
    assert_eq!(ran.output(), Some(&json!([1, 2, 3])));
}

#[tokio::test]
async fn a_router_in_a_router_takes_names_one_by_one() {
    let inner = Router::new().key("colour").route("red", echo()).into_worker();
    let ran = run(
        Router::new().route("paint", inner),
        json!({ "task": "paint", "colour": "red", "n": 1 }),
    )
    .await;
    assert_eq!(ran.output(), Some(&json!({ "n": 1 })));
}

#[tokio::test]
async fn each_handler_has_its_own_state() {
    #[handler]
    async fn greet(_input: RawJson, State(word): State<String>) -> JobResult<String> {
        Ok(word)
    }
    let router = || {
        Router::new()
            .route("de", greet::worker().state("Hallo".to_owned()))
            .route(
                "en",
                greet::worker().state_with(async || Ok::<_, Infallible>("Hello".to_owned())),
            )
    };
    assert_eq!(
        run(router(), json!({ "task": "de" })).await.output(),
        Some(&json!("Hallo"))
    );
    assert_eq!(
        run(router(), json!({ "task": "en" })).await.output(),
        Some(&json!("Hello"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_route_holds_for_its_jobs_alone() {
    let wait = || {
        Worker::new(|_: RawJson, ctx: Context| async move {
            tokio::select! {
                reason = ctx.cancelled() => JobResult::Ok(reason == CancelReason::DeadlineExceeded),
                () = tokio::time::sleep(Duration::from_mins(1)) => Ok(false),
            }
        })
    };
    let router = || {
        Router::new()
            .route("short", wait().timeout(Duration::from_secs(1)))
            .route("long", wait())
    };
    let short = run(router(), json!({ "task": "short" })).await;
    assert_eq!(short.output(), Some(&json!(true)));
    let long = run(router(), json!({ "task": "long" })).await;
    assert_eq!(long.output(), Some(&json!(false)));
}

#[tokio::test]
async fn a_handler_runs_no_more_jobs_at_once_than_its_own_worker_says() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let careful = Worker::new(move |_: RawJson| {
        let (running, most) = (running.clone(), most.clone());
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            JobResult::Ok(())
        }
    });
    // The wide handler's jobs wait for each other: they end only if they run at once.
    let together = Arc::new(tokio::sync::Barrier::new(4));
    let wide = Worker::new(move |_: RawJson| {
        let together = together.clone();
        async move {
            together.wait().await;
            JobResult::Ok(())
        }
    });
    let router = Router::new()
        .route("careful", careful)
        .route("wide", wide.concurrency(4));
    let harness = Harness::new(router.into_worker());
    let names = [
        "careful", "careful", "careful", "careful", "wide", "wide", "wide", "wide",
    ];
    let jobs: Vec<_> = names
        .iter()
        .map(|name| harness.submit(json!({ "task": name })))
        .collect();
    for job in jobs {
        assert_eq!(job.finished().await.output(), Some(&json!(null)));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_streaming_handler_holds_its_place_until_its_stream_ends() {
    let (go, streams) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (open, made) = (go.clone(), streams.clone());
    let worker = Worker::new(move |_: RawJson| {
        made.fetch_add(1, Ordering::SeqCst);
        let go = go.clone();
        async move {
            let chunk = async move {
                go.notified().await;
                JobResult::Ok(1)
            };
            JobResult::Ok(Streaming::new(stream::once(chunk)))
        }
    });
    let wide = echo().concurrency(2);
    let router = Router::new().route("one", worker).route("wide", wide);
    let harness = Harness::new(router.into_worker());
    let first = harness.submit(json!({ "task": "one" }));
    let second = harness.submit(json!({ "task": "one" }));
    // Whatever else the worker has to do is done before this job of the other route ends.
    let other = harness.submit(json!({ "task": "wide" }));
    first.taken().await;
    second.taken().await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(streams.load(Ordering::SeqCst), 1);
    open.notify_one();
    first.finished().await;
    open.notify_one();
    second.finished().await;
    other.finished().await;
    assert_eq!(streams.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn mistakes_in_the_routes_are_told_when_the_worker_starts() {
    let router = Router::new()
        .route("a", echo())
        .route("a", echo())
        .default_route("b");
    let load = router.into_worker().into_parts().load;
    let problem = crate::Error::from(load().await.err().unwrap()).to_string();
    assert_eq!(
        problem,
        "start-up failed: the router has two routes called \"a\"; \
         the router's default route \"b\" is not one of its routes"
    );
    let load = Router::new().into_worker().into_parts().load;
    assert!(load().await.is_err());
}

#[tokio::test]
async fn a_state_that_cannot_be_loaded_names_its_route() {
    #[handler]
    async fn greet(_input: RawJson, State(_): State<u8>) -> JobResult<()> {
        Ok(())
    }
    let worker = greet::worker().state_with(async || Err("no disk"));
    let load = Router::new()
        .route("greet", worker)
        .into_worker()
        .into_parts()
        .load;
    let problem = crate::Error::from(load().await.err().unwrap()).to_string();
    assert_eq!(problem, "start-up failed: route \"greet\": no disk");
}
