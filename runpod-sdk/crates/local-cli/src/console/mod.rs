//! The console: pages for a person at the platform's address, and what they show.
//!
//! ```text
//! /                                   the page; scripts and style below /console/
//! /console/api/about                  what does not change while the command runs
//! /console/api/events                 the state, then its changes
//! /console/api/jobs/ID/events         a job's history, then what is added to it
//! /console/api/workers/ID/events      a worker's lines, then further ones
//! /console/api/workers/ID/ORDER       kill, freeze, thaw, scale-down
//! /console/inbox                      takes webhooks
//! /console/api/faults                 takes a fault; DELETE /console/api/faults/ID ends it
//! /console/api/inbox/events           the webhooks that came
//! ```
//!
//! Jobs are submitted, cancelled and retried by the platform's own API, as any client does it.

mod assets;
mod events;
mod item_json;
mod schema;

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use runpod_local::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use self::schema::schema;

use crate::fleet::Order;
use crate::record::Record;

/// Largest webhook taken: a result, and what is around it.
const LARGEST_WEBHOOK: usize = 32 * 1024 * 1024;

/// What does not change while the command runs.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    pub(crate) endpoint: String,
    /// What a worker costs per second.
    pub(crate) price: Option<f64>,
    /// JSON Schema of the worker's input.
    pub(crate) schema: Option<Value>,
    /// The workers that the command starts, in words.
    pub(crate) command: Option<String>,
}

#[derive(Debug)]
struct Console {
    record: Arc<Record>,
    about: About,
    orders: mpsc::Sender<Order>,
    closing: CancellationToken,
}

impl Console {
    async fn obey(&self, order: Order) -> StatusCode {
        match self.orders.send(order).await {
            Ok(()) => StatusCode::ACCEPTED,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The pages, for [`LocalPlatformBuilder::pages`](runpod_local::LocalPlatformBuilder::pages). Their streams end with `closing`.
pub(crate) fn pages(
    record: Arc<Record>,
    about: About,
    orders: mpsc::Sender<Order>,
    closing: CancellationToken,
) -> Router {
    let console = Console {
        record,
        about,
        orders,
        closing,
    };
    Router::new()
        .route("/", get(assets::index))
        .route("/console/{file}", get(assets::file))
        .route("/console/inbox", post(inbox))
        .route("/console/api/about", get(about_this))
        .route("/console/api/events", get(state_events))
        .route("/console/api/faults", post(add_fault))
        .route("/console/api/faults/{id}", delete(remove_fault))
        .route("/console/api/inbox/events", get(inbox_events))
        .route("/console/api/jobs/{job}/events", get(job_events))
        .route("/console/api/workers/{worker}/events", get(worker_events))
        .route("/console/api/workers/{worker}/{order}", post(order_worker))
        .layer(DefaultBodyLimit::max(LARGEST_WEBHOOK))
        .with_state(Arc::new(console))
}

/// Up to where the reader has seen a stream.
#[derive(Debug, Deserialize)]
struct Seen {
    seen: Option<u64>,
}

impl Seen {
    fn index(&self) -> usize {
        self.seen.and_then(|seen| usize::try_from(seen).ok()).unwrap_or(0)
    }
}

async fn about_this(State(console): State<Arc<Console>>) -> Response {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        about: &'a About,
        /// Zero of the platform's clock, in milliseconds since 1970.
        epoch: u64,
        version: &'static str,
    }
    let since_1970 = console.record.epoch().duration_since(SystemTime::UNIX_EPOCH);
    Json(Whole {
        about: &console.about,
        epoch: since_1970.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        version: env!("CARGO_PKG_VERSION"),
    })
    .into_response()
}

async fn state_events(State(console): State<Arc<Console>>, Query(seen): Query<Seen>) -> Response {
    events::of_state(Arc::clone(&console.record), seen.seen, console.closing.clone())
}

async fn job_events(
    State(console): State<Arc<Console>>,
    Path(job): Path<String>,
    Query(seen): Query<Seen>,
) -> Response {
    if console.record.items(&job, usize::MAX).is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    events::of_job(
        Arc::clone(&console.record),
        job,
        seen.index(),
        console.closing.clone(),
    )
}

async fn worker_events(
    State(console): State<Arc<Console>>,
    Path(worker): Path<String>,
    Query(seen): Query<Seen>,
) -> Response {
    events::of_worker(
        Arc::clone(&console.record),
        worker,
        seen.index(),
        console.closing.clone(),
    )
}

async fn inbox_events(State(console): State<Arc<Console>>, Query(seen): Query<Seen>) -> Response {
    events::of_inbox(Arc::clone(&console.record), seen.index(), console.closing.clone())
}

async fn order_worker(
    State(console): State<Arc<Console>>,
    Path((worker, order)): Path<(String, String)>,
) -> StatusCode {
    let order = match order.as_str() {
        "kill" => Order::Kill(worker),
        "freeze" => Order::Freeze(worker),
        "thaw" => Order::Thaw(worker),
        "scale-down" => Order::ScaleDown(worker),
        _ => return StatusCode::NOT_FOUND,
    };
    console.obey(order).await
}

/// A fault in the text form of [`Fault`].
#[derive(Debug, Deserialize)]
struct NewFault {
    fault: String,
}

async fn add_fault(State(console): State<Arc<Console>>, Json(new): Json<NewFault>) -> Response {
    match new.fault.parse::<Fault>() {
        Ok(fault) => console.obey(Order::Inject(fault)).await.into_response(),
        Err(problem) => {
            let error = serde_json::json!({ "error": problem.to_string() });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}

async fn remove_fault(State(console): State<Arc<Console>>, Path(id): Path<u64>) -> StatusCode {
    console.obey(Order::RemoveFault(id)).await
}

/// Takes a webhook as a server of the person's own would.
async fn inbox(State(console): State<Arc<Console>>, body: String) -> StatusCode {
    match serde_json::from_str::<&RawValue>(&body) {
        Ok(_) => {
            console.record.webhook(body.into());
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
