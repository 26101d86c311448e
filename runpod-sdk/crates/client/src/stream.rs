//! The chunks of a streaming job.

use std::collections::VecDeque;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::error::ClientError;
use super::handle::JobHandle;
use super::report::{JobStatus, decode};
use super::transport::Call;
use super::wait::Pace;

/// One poll's answer.
#[derive(Deserialize)]
struct Page<'a> {
    status: &'a str,
    #[serde(borrow, default)]
    stream: Vec<Element<'a>>,
}

/// One chunk. The platform may put other keys, such as `metrics`, beside the output.
#[derive(Deserialize)]
struct Element<'a> {
    #[serde(borrow)]
    output: &'a RawValue,
}

/// Where a reader is in a job's stream.
struct Reader<T> {
    job: JobHandle,
    /// Chunks received and not yet given out.
    chunks: VecDeque<Bytes>,
    pace: Pace,
    state: State,
    decoded: PhantomData<fn() -> T>,
}

enum State {
    Reading,
    /// The last answer had a final state; one more poll makes sure that nothing is left.
    Ending,
    Ended,
}

/// Reads a job's chunks in order.
pub(crate) fn read<T: DeserializeOwned>(job: JobHandle) -> impl Stream<Item = Result<T, ClientError>> + Send {
    let reader = Reader {
        job,
        chunks: VecDeque::new(),
        pace: Pace::default(),
        state: State::Reading,
        decoded: PhantomData,
    };
    stream::unfold(reader, |mut reader| async move {
        Some((reader.next().await?, reader))
    })
}

impl<T: DeserializeOwned> Reader<T> {
    async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            if let Some(chunk) = self.chunks.pop_front() {
                return Some(decode(&chunk));
            }
            let polled = match self.state {
                State::Reading => self.poll().await,
                State::Ending => match self.poll().await {
                    // Forgotten between the two polls: the stream was read to its end.
                    Err(ClientError::JobNotFound(_)) => Ok(()),
                    other => other,
                },
                State::Ended => return None,
            };
            if let Err(error) = polled {
                self.state = State::Ended;
                return Some(Err(error));
            }
        }
    }

    /// Fetches what waits. A failed job's error comes after its chunks.
    async fn poll(&mut self) -> Result<(), ClientError> {
        let transport = &self.job.client.transport;
        let (wait, asked) = (transport.waits.poll, Instant::now());
        let answer = transport
            .send(Call::consuming(&["stream", self.job.id()]).wait(wait))
            .await?;
        let page: Page<'_> = serde_json::from_slice(&answer).map_err(ClientError::Answer)?;
        self.chunks = page
            .stream
            .iter()
            .map(|chunk| answer.slice_ref(chunk.output.get().as_bytes()))
            .collect();
        let status = JobStatus::parse(page.status);
        if !status.is_final() {
            self.state = State::Reading;
            if self.chunks.is_empty() {
                self.pace.rest_if_hasty(asked.elapsed(), wait).await;
            }
        } else if self.chunks.is_empty() {
            self.state = State::Ended;
            return self.verdict(status).await;
        } else {
            self.state = State::Ending;
        }
        Ok(())
    }

    /// The stream's answers carry no error texts; `/status` does.
    async fn verdict(&self, status: JobStatus) -> Result<(), ClientError> {
        if status == JobStatus::Completed {
            return Ok(());
        }
        let report = self.job.status().await?;
        report
            .failure()
            .map_or(Ok(()), |failure| Err(Box::new(failure).into()))
    }
}
