//! Handlers that stream.
#![deny(warnings)]

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use runpod_sdk::prelude::*;

#[handler(stream)]
fn count(to: u32, _ctx: Context) -> impl Stream<Item = JobResult<u32>> {
    stream::iter((1..=to).map(Ok))
}

#[handler(stream, aggregate)]
async fn slowly(to: u32, State(step): State<usize>) -> impl Stream<Item = Result<u32, String>> {
    tokio::task::yield_now().await;
    stream::iter((1..=to).step_by(step).map(Ok))
}

#[handler(stream)]
fn boxed(to: u32) -> Pin<Box<dyn Stream<Item = JobResult<u32>> + Send>> {
    stream::iter((1..=to).map(Ok)).boxed()
}

/// Making the stream may fail, so the result is around it.
#[handler]
async fn checked(to: u32) -> JobResult<Streaming<impl Stream<Item = JobResult<u32>>>> {
    if to == 0 {
        return Err(JobError::invalid_input("count to 1 at least"));
    }
    Ok(Streaming::new(stream::iter((1..=to).map(Ok))).aggregated())
}

/// With and without a bound of its own.
#[handler(stream, merge = "50ms")]
fn spelled(word: String) -> impl Stream<Item = JobResult<char>> {
    stream::iter(word.chars().map(Ok).collect::<Vec<_>>())
}

#[handler(stream, aggregate, merge = "1s", merge_bytes = 100)]
async fn spelled_slowly(word: String) -> impl Stream<Item = JobResult<char>> {
    stream::iter(word.chars().map(Ok).collect::<Vec<_>>())
}

/// A value or a stream, as the job has it.
#[handler]
async fn either(to: u32) -> JobResult<MaybeStreaming<&'static str, impl Stream<Item = JobResult<u32>>>> {
    if to == 0 {
        return Ok(MaybeStreaming::Value("nothing to count"));
    }
    Ok(MaybeStreaming::Chunks(Streaming::new(stream::iter((1..=to).map(Ok)))))
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let chunks: Vec<u32> = boxed(3).map(Result::unwrap).collect().await;
    assert_eq!(chunks, [1, 2, 3]);
    let _: Worker = count::worker();
    let _: Worker = slowly::worker().state(1);
    let _: Worker = boxed::worker();
    let _: Worker = checked::worker();
    let _: Worker = spelled::worker();
    let _: Worker = spelled_slowly::worker();
    let _: Worker = either::worker();
}
