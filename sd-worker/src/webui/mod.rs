//! The client of the WebUI's HTTP API (`docs/protocol/webui-api.md`).
//!
//! It knows requests, answers, errors and readiness. It knows nothing of the platform's jobs; [`crate::render`] sends
//! their renders with it.
//!
//! | file | what it does |
//! |---|---|
//! | [`client`], [`exchange`], [`connections`] | send requests; headers and credentials are added here |
//! | [`call`] | describes one request |
//! | [`answer`] | reads an answer and checks it while it arrives |
//! | [`pictures`] | whether an answer has the pictures that were asked for |
//! | [`error`], [`fault`], [`problem`], [`suspect`], [`not_pictures`] | read an error answer and decide whose mistake it is |
//! | [`progress`], [`probe`], [`own_render`] | ask what the WebUI is doing, and for whom |
//! | [`control`], [`interrupt`], [`checkpoint`] | change settings, stop renders, select a checkpoint |
//! | [`server_kind`], [`batch_script`] | finds out which server answers |
//! | [`ready`] | waits for the WebUI at its start |

mod answer;
mod batch_script;
mod call;
mod checkpoint;
mod client;
mod connections;
mod control;
mod error;
mod exchange;
mod fault;
mod interrupt;
mod not_pictures;
mod own_render;
mod phases;
mod pictures;
mod probe;
mod problem;
mod progress;
mod ready;
mod routes;
mod server_kind;
mod suspect;

pub(crate) use call::{Call, JobKind};
pub(crate) use client::{ClientOptions, NoClient, WebUi};
pub(crate) use error::WebUiError;
pub(crate) use interrupt::{Stopped, interrupt_until_returned, wait_behind_another};
pub(crate) use own_render::{ExpectedJob, RenderOwner};
pub(crate) use phases::StartPhases;
pub(crate) use probe::Rendered;
pub(crate) use progress::{Position, Progress};
pub(crate) use ready::{NotReady, Readiness, ReadinessOptions};
pub(crate) use routes::{
    CONTROLNET_DETECT, EMBEDDINGS, EXTRA_BATCH, EXTRA_SINGLE, IMG2IMG, INTERROGATE, OPTIONS, TXT2IMG,
};
pub(crate) use server_kind::{Sampler, Scheduler, ServerKind};
