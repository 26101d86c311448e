//! RunPod's platform on this machine: the API clients call and the API workers call, over HTTP.
//!
//! A worker started with [`LocalPlatform::worker_env`] runs as it would on RunPod, and a client
//! pointed at [`LocalPlatform::client_base_url`] sees the endpoint it would see there: queue,
//! states, long polls, streams, retries, time limits, webhooks.
//!
//! Where RunPod does not document its behaviour, the platform imitates what was observed. Where nothing is known it has
//! a rule of its own and, if it matters, a switch in [`EndpointSettings`]. `docs/protocol/endpoint-api.md` says how sure
//! each fact is.
//!
//! ```
//! use runpod_sdk::local::LocalPlatform;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platform = LocalPlatform::builder().endpoint("painter").start().await?;
//!
//! // For a client: the base URL. For a worker: the variables RunPod would set.
//! assert!(platform.client_base_url().ends_with("/v2"));
//! let env = platform.worker_env("painter", "worker-1");
//! assert!(env.iter().any(|(name, _)| name == "RUNPOD_WEBHOOK_GET_JOB"));
//!
//! platform.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A worker's own development server
//!
//! With a single endpoint, paths need no `/v2/{endpoint}`: `POST /runsync`, `POST /run`,
//! `GET` or `POST /status/{id}` and `/stream/{id}`, and `POST /{endpoint}/realtime`, which answers with
//! the worker's bare result (`docs/protocol/worker-protocol.md` §13). So a development server is a
//! platform on a known port and the worker's usual loop, given these variables instead of the process's:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use runpod_sdk::local::{EndpointSettings, LocalPlatform};
//!
//! let patient = EndpointSettings::default().ping_window(None); // for a worker in a debugger
//! let platform = LocalPlatform::builder()
//!     .endpoint_with("dev", patient)
//!     .listen("127.0.0.1:8000".parse()?)
//!     .start()
//!     .await?;
//! let env = platform.worker_env("dev", "worker-1");
//! # Ok(())
//! # }
//! ```
//!
//! # OpenAI's API
//!
//! `/v2/{endpoint}/openai/v1/…` makes a job of each request, for workers that handle it: their input is
//! `{"openai_route": "/v1/chat/completions", "openai_input": {…}}`. Their chunks are relayed as server-sent events if the
//! request says `"stream": true`, else their output is the answer (`docs/protocol/endpoint-api.md` §11).
//!
//! # The list of requests
//!
//! RunPod documents that `GET /requests` exists, but not its answer. Here it is an object with two lists:
//! `requests`, the jobs still known, newest first (`?status=FAILED` and `?limit=10` narrow it; the limit is 100
//! unless given), and `violations`, oldest first. Times are milliseconds; `submittedAt` and `at` count from the
//! platform's start.
//!
//! ```json
//! {"requests": [{"id": "…-u1", "status": "COMPLETED", "submittedAt": 0, "delayTime": 12, "executionTime": 340,
//!                "retries": 0, "inputBytes": 27, "outputBytes": 512, "unreadChunks": 0, "workerId": "worker-1",
//!                "lowPriority": false}],
//!  "violations": [{"at": 900, "kind": "second result for one job", "worker": "worker-1", "job": "…-u1"}]}
//! ```
//!
//! # Who may use it
//!
//! The platform listens on loopback. On any other address it wants an API key and does not start without one.
//! Requests that browsers send for pages of other sites are refused, and on loopback those for other host names
//! too, because a web page could reach the platform by either way.
//!
//! # Memory
//!
//! Everything is in memory and bounded: jobs, payloads and unread chunks by [`EndpointSettings`], workers,
//! violations, webhooks under way and recorded calls by fixed limits. Payloads are kept as they were received.
//!
//! # Tests
//!
//! [`Clock::manual`] moves every timer by hand. [`LocalPlatform::until`] waits for what a test has to see first.
//! [`LocalPlatform::violations`] lists what workers did against the protocol, [`LocalPlatform::recorded_calls`] the
//! conversations.

mod activity;
mod builder;
mod clock;
mod endpoint;
mod faults;
mod http;
mod json;
mod keyed_notify;
mod observed;
mod platform;
mod rate_limits;
mod received;
mod server;
mod settings;
mod snapshot;
mod store;
mod violation;
mod webhook;

pub use self::activity::Activity;
pub use self::builder::{LocalPlatformBuilder, StartError};
pub use self::clock::{Clock, ManualClock};
pub use self::faults::{ActiveFault, Fault, FaultError, FaultKind};
pub use self::http::record::RecordedCall;
pub use self::observed::{JobChange, Observed};
pub use self::platform::LocalPlatform;
pub use self::settings::{EndpointSettings, ExecutionEnd, JobsOf, TtlEnd};
pub use self::snapshot::{EndpointSnapshot, WorkerSnapshot};
pub use self::violation::{Violation, ViolationKind};
