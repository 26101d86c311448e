//! A typed client of one RunPod Serverless endpoint.
//!
//! Submit jobs, wait for them by long polls, follow their progress, read their streams:
//!
//! ```no_run
//! use runpod_sdk::client::EndpointClient;
//!
//! #[derive(serde::Serialize)]
//! struct Prompt { prompt: String, steps: u32 }
//! #[derive(serde::Deserialize)]
//! struct Picture { images: Vec<String> }
//!
//! # async fn example() -> Result<(), runpod_sdk::client::ClientError> {
//! let client = EndpointClient::from_env("my-endpoint-id")?;
//! let job = client.run(&Prompt { prompt: "a cat".into(), steps: 25 }).await?;
//! let picture: Picture = job.output().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is sent again
//!
//! A request is repeated, with growing random pauses, only where that cannot do harm:
//!
//! | what happened | questions (`status`, `health`, …), `cancel`, `purge_queue` | `run`, `run_sync`, `retry` | `stream` |
//! |---|---|---|---|
//! | no connection could be opened | again | again | again |
//! | 429 | again, after `Retry-After` if given | again, likewise | again, likewise |
//! | 5xx other than 501 and 505 | again | an error: it may have been accepted | again |
//! | the answer was lost on the way | again | an error: it may have been accepted | an error: chunks may be lost |
//! | other 4xx | an error | an error | an error |
//!
//! The protocol is described in `docs/protocol/endpoint-api.md`; section numbers in these docs refer to it.

mod builder;
mod endpoint_client;
mod error;
mod failure;
mod handle;
mod health;
mod job_calls;
mod pace;
mod report;
mod retry;
mod stream;
mod submission;
mod transport;
mod wait;

pub use runpod_protocol::{JobId, JobStatus, S3Config};

pub use self::builder::{DEFAULT_BASE_URL, EndpointClientBuilder};
pub use self::endpoint_client::EndpointClient;
pub use self::error::{ClientError, ConfigError, OutputError};
pub use self::failure::JobFailure;
pub use self::handle::JobHandle;
pub use self::health::{Health, JobCounts, WorkerCounts};
pub use self::report::JobReport;
pub use self::retry::RetryPolicy;
pub use self::submission::Submission;
