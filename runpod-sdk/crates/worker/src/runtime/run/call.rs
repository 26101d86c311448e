//! The third step of a job: the call of its handler, in a task of its own.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::chunk_list::ChunkList;
use super::python::{PythonResults, ReadResult};
use super::slot_in_use::SlotInUse;
use super::start::HandlerCall;
use crate::handler::{LARGEST_CHUNK, Produced, is_text};
use crate::job::{ErrorClass, ErrorCode, JobError, Outcome};
use crate::json::RawJson;
use crate::panics::guarded;
use crate::runtime::Runtime;

/// Calls the hooks before the job and then the handler. A panic in either is an error.
pub(super) fn call(runtime: &Runtime, call: HandlerCall) -> JoinHandle<Result<Outcome, JobError>> {
    let HandlerCall {
        input,
        context,
        chunks,
        slot,
    } = call;
    let (handler, hooks) = (runtime.handler.clone(), runtime.hooks.clone());
    let produced = async move {
        hooks.before_job(&context).await?;
        handler.call(input, context).await
    };
    runtime
        .handlers
        .spawn(guarded(consume(produced, chunks, slot, runtime.python.clone())).in_current_span())
}

/// Reads what the handler produces to its end. The slot becomes free when this ends, for whatever reason.
async fn consume(
    call: impl Future<Output = Result<Produced, JobError>>,
    chunks: mpsc::Sender<RawJson>,
    slot: Arc<SlotInUse>,
    python: Arc<PythonResults>,
) -> Result<Outcome, JobError> {
    let produced = call.await?;
    let outcome = match produced {
        Produced::Value(value) => {
            let ReadResult { output, refresh } = python.of_output(value);
            if refresh {
                slot.refreshes();
            }
            let value = output?;
            slot.produced(value.len());
            Outcome::Completed(value)
        }
        Produced::Chunks {
            mut stream,
            aggregate,
        } => {
            slot.streams();
            let mut all = ChunkList::new(aggregate);
            while let Some(chunk) = futures_util::StreamExt::next(&mut stream).await {
                let chunk = match chunk.and_then(|chunk| python.of_chunk(chunk)) {
                    Ok(chunk) if chunk.len() > LARGEST_CHUNK && !is_text(&chunk) => {
                        return Ok(Outcome::StreamFailed(too_large(chunk.len())));
                    }
                    Ok(chunk) => chunk,
                    Err(error) => return Ok(Outcome::StreamFailed(error)),
                };
                all.add(&chunk);
                if chunks.send(chunk).await.is_err() {
                    break;
                }
            }
            let aggregate = all.finish();
            slot.produced(aggregate.len());
            Outcome::Streamed(aggregate)
        }
    };
    drop(slot);
    Ok(outcome)
}

fn too_large(bytes: usize) -> JobError {
    JobError::new(
        ErrorCode::CHUNK_TOO_LARGE,
        ErrorClass::Worker,
        format!("a chunk of {bytes} bytes; the platform takes {LARGEST_CHUNK}"),
    )
    .with_hint("stream it in pieces, or upload it and stream a URL")
    .with_details(serde_json::json!({ "bytes": bytes, "limit": LARGEST_CHUNK }))
}
