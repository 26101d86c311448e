//! One submitted job.

use futures_util::Stream;
use runpod_protocol::route;
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::job_calls::JobCalls;
use crate::report::JobReport;
use crate::transport::ApiCall;
use crate::{stream, wait};

/// A submitted job. Dropping the handle changes nothing about the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    calls: JobCalls,
}

impl JobHandle {
    pub(crate) fn new(calls: JobCalls) -> Self {
        Self { calls }
    }

    /// The job's id. Ids of `run_sync` jobs begin with `sync-`; the rest is opaque.
    pub fn id(&self) -> &str {
        self.calls.id.as_str()
    }

    /// The job as it is now (`/status`, §5).
    ///
    /// # Errors
    ///
    /// [`ClientError::JobNotFound`] once the job has expired, and those of any request.
    pub async fn status(&self) -> Result<JobReport, ClientError> {
        self.calls.status().await
    }

    /// Waits until the job is final, by long polls.
    ///
    /// Without a limit of its own: the job's time to live bounds it. To wait for less, wrap it in
    /// `tokio::time::timeout`; the job goes on. Server errors, lost answers and connections that cannot be opened do not
    /// end the wait before the endpoint has been out for 30 minutes, which is how long it keeps a result.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). A job that failed is no error here; see [`JobReport::into_result`].
    pub async fn wait(&self) -> Result<JobReport, ClientError> {
        wait::until_final(&self.calls).await
    }

    /// Waits until the job is final and reports each change on the way: states and progress updates.
    ///
    /// Progress is asked for about once a second, so updates in quick succession are skipped.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_with(&self, mut on_update: impl FnMut(&JobReport)) -> Result<JobReport, ClientError> {
        let mut updates = wait::JobUpdates::new(self.calls.clone());
        loop {
            let report = updates.next().await?;
            on_update(&report);
            if report.status.is_final() {
                return Ok(report);
            }
        }
    }

    /// The job's states and progress updates as they are seen, from the present one to the final one.
    ///
    /// The stream ends after the final report or the first error. See [`wait_with`](Self::wait_with).
    ///
    /// ```no_run
    /// use futures_util::{StreamExt, pin_mut};
    ///
    /// # async fn example(job: runpod_sdk::client::JobHandle) -> Result<(), runpod_sdk::client::ClientError> {
    /// let updates = job.updates();
    /// pin_mut!(updates);
    /// while let Some(report) = updates.next().await {
    ///     let report = report?;
    ///     println!("{}: {:?}", report.status, report.raw_output());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn updates(&self) -> impl Stream<Item = Result<JobReport, ClientError>> + Send + use<> {
        let updates = Some(wait::JobUpdates::new(self.calls.clone()));
        futures_util::stream::unfold(updates, |updates| async move {
            let mut updates = updates?;
            let report = updates.next().await;
            let goes_on = report.as_ref().is_ok_and(|report| !report.status.is_final());
            Some((report, goes_on.then_some(updates)))
        })
    }

    /// The chunks of a streaming job, decoded, in order (`/stream`, §6).
    ///
    /// The platform gives every chunk out once, so a job's stream has one reader. A job that failed
    /// ends its stream with [`ClientError::Job`], after the chunks that came before. A job that does
    /// not stream gives none. Use [`Box<RawValue>`](serde_json::value::RawValue) for chunks as received.
    ///
    /// The stream ends after its first error, except that a chunk that does not decode is an error of its own and the
    /// next ones follow. After [`ClientError::AnswerLost`], chunks may be missing.
    pub fn stream<T: DeserializeOwned>(&self) -> impl Stream<Item = Result<T, ClientError>> + Send + use<T> {
        stream::read(self.calls.clone())
    }

    /// Waits until the job has completed and decodes its output.
    ///
    /// # Errors
    ///
    /// [`ClientError::Job`] if it ended otherwise, [`ClientError::Output`] if the output does not fit, and those
    /// of [`wait`](Self::wait).
    pub async fn output<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        self.wait().await?.into_result()
    }

    /// Cancels the job (§7) and says what it is then. A job that is final already stays what it is.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub async fn cancel(&self) -> Result<JobReport, ClientError> {
        self.calls.send(ApiCall::post(&[route::CANCEL, self.id()])).await
    }

    /// Queues a failed or timed out job again, with the same id and input (§7). Its old output is gone then.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`] 400 if the job is in another state, and those of any request.
    pub async fn retry(&self) -> Result<JobReport, ClientError> {
        self.calls
            .send(ApiCall::once(&[route::RETRY, self.id()], None))
            .await
    }
}
