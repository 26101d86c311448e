//! One submitted job.

use serde::de::DeserializeOwned;

use super::EndpointClient;
use super::error::ClientError;
use super::report::JobReport;
use super::transport::Call;
use super::wait;

/// A submitted job. Dropping the handle changes nothing about the job.
#[derive(Clone, Debug)]
pub struct JobHandle {
    pub(crate) client: EndpointClient,
    id: String,
}

impl JobHandle {
    pub(crate) fn new(client: EndpointClient, id: String) -> Self {
        Self { client, id }
    }

    /// The job's id. Ids of `run_sync` jobs begin with `sync-`; the rest is opaque.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The job as it is now (`/status`, §5).
    ///
    /// # Errors
    ///
    /// [`ClientError::JobNotFound`] once the job has expired, and those of any request.
    pub async fn status(&self) -> Result<JobReport, ClientError> {
        self.ask(Call::get(&["status", &self.id])).await
    }

    /// Waits until the job is final, by long polls.
    ///
    /// Without a limit of its own: the job's time to live bounds it. To wait for less, wrap it in
    /// `tokio::time::timeout`; the job goes on.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). A job that failed is no error here; see [`JobReport::into_result`].
    pub async fn wait(&self) -> Result<JobReport, ClientError> {
        wait::until_final(self).await
    }

    /// Waits until the job is final and tells of everything new on the way: states and progress updates.
    ///
    /// Progress is asked for about once a second, so updates in quick succession are skipped.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_with(&self, mut on_news: impl FnMut(&JobReport)) -> Result<JobReport, ClientError> {
        let mut news = wait::News::new(self.clone());
        loop {
            let report = news.next().await?;
            on_news(&report);
            if report.status.is_final() {
                return Ok(report);
            }
        }
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
        self.ask(Call::post(&["cancel", &self.id])).await
    }

    pub(crate) async fn ask(&self, call: Call<'_>) -> Result<JobReport, ClientError> {
        let answer = self.client.transport.send(call).await?;
        JobReport::parse(&answer, &self.id)
    }
}
