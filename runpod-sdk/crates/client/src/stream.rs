//! The chunks of a streaming job.

use std::collections::VecDeque;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use runpod_protocol::{JobStatus, StreamAnswer, json, route};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::job_calls::JobCalls;
use crate::pace::PollPace;
use crate::report::decode;
use crate::transport::ApiCall;

/// Reads the stream of one job.
struct StreamReader<T> {
    job: JobCalls,
    /// Chunks received and not yet given out.
    chunks: VecDeque<Bytes>,
    pace: PollPace,
    state: ReaderState,
    decoded: PhantomData<fn() -> T>,
}

/// Where a reader is in its stream.
enum ReaderState {
    Reading,
    /// The last answer had a final state. One more poll makes sure that nothing is left.
    Ending,
    Ended,
}

/// The chunks of a job, in order.
pub(crate) fn read<T: DeserializeOwned>(job: JobCalls) -> impl Stream<Item = Result<T, ClientError>> + Send {
    let reader = StreamReader {
        job,
        chunks: VecDeque::new(),
        pace: PollPace::default(),
        state: ReaderState::Reading,
        decoded: PhantomData,
    };
    stream::unfold(reader, |mut reader| async move {
        Some((reader.next().await?, reader))
    })
}

impl<T: DeserializeOwned> StreamReader<T> {
    async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            if let Some(chunk) = self.chunks.pop_front() {
                return Some(decode(&chunk));
            }
            let polled = match self.state {
                ReaderState::Reading => self.poll().await,
                ReaderState::Ending => match self.poll().await {
                    // Forgotten between the two polls: the stream was read to its end.
                    Err(ClientError::JobNotFound(_)) => Ok(()),
                    other => other,
                },
                ReaderState::Ended => return None,
            };
            if let Err(error) = polled {
                self.state = ReaderState::Ended;
                return Some(Err(error));
            }
        }
    }

    /// Fetches what waits. A failed job's error comes after its chunks.
    async fn poll(&mut self) -> Result<(), ClientError> {
        let transport = &self.job.transport;
        let (wait, asked) = (transport.timeouts.poll, Instant::now());
        let answer = transport
            .send(ApiCall::consuming(&[route::STREAM, self.job.id.as_str()]).wait(wait))
            .await?;
        let page: StreamAnswer<'_> = serde_json::from_slice(&answer).map_err(ClientError::Answer)?;
        self.chunks = page
            .stream
            .iter()
            .map(|chunk| json::slice(&answer, chunk.output))
            .collect();
        let status = page.status;
        if !status.is_final() {
            self.state = ReaderState::Reading;
            if self.chunks.is_empty() {
                self.pace.pause_if_early(asked.elapsed(), wait).await;
            }
        } else if self.chunks.is_empty() {
            self.state = ReaderState::Ended;
            return self.verdict(status).await;
        } else {
            self.state = ReaderState::Ending;
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
