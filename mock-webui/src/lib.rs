//! The AUTOMATIC1111 WebUI API with a simulated GPU, for tests.
//!
//! A client of the WebUI can be tested without the program, without a model and without a card. The mock
//! answers as the real server was measured to: fields are checked and coerced the same way, errors have the
//! same shapes and words, one render runs at a time, progress moves, and pictures are real PNG files with
//! their infotext inside.
//!
//! ```
//! # use mock_webui::MockWebUi;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! let webui = MockWebUi::start().await;
//! let models: serde_json::Value =
//!     reqwest::get(format!("{}/sdapi/v1/sd-models", webui.url())).await?.json().await?;
//! assert_eq!(models[0]["model_name"], "v1-5-pruned-emaonly");
//! # Ok(()) }
//! ```
//!
//! - [`MockWebUi`] is a running server, [`MockWebUiBuilder`] its options.
//! - [`SimGpu`] holds time: [`advance`](SimGpu::advance) a render step by step, or wait for events.
//! - [`MockWebUi::stubs`] is the wiremock server behind the gate. Mount stubs over it, count calls, look at
//!   the requests it received.
//! - [`Fault`] breaks the server on purpose, [`Phase`] holds its start; both also work while it runs.
//! - [`contract`] compares the mock, or a real WebUI, with recorded answers.
//!
//! The page `docs/mock-webui.md` is a guide to all of it, and to the program `mock-webui`.

/// The examples of the documentation page are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../../docs/mock-webui.md")]
struct Page;

mod answer;
mod auth;
mod catalogue;
pub mod contract;
mod deferred;
mod digest;
mod faults;
mod file;
mod gate;
mod gpu;
mod json;
mod memory;
mod phase;
mod profile;
pub mod program;
mod render;
mod request;
mod server;
mod settings;
mod stubs;
mod webui;

pub use catalogue::{Lora, Model, Style};
pub use faults::{ClearedBy, Fault, FaultKind, FaultKindInfo, Scenario, ScenarioError};
pub use gpu::{Progress, SimGpu};
pub use phase::Phase;
pub use profile::{Profile, UnknownProfile};
pub use webui::{MockWebUi, MockWebUiBuilder, StartError};
