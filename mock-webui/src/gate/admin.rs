//! The admin route: steering a running mock over HTTP.
//!
//! It lies outside the WebUI's paths and prefix, and asks for no credentials: a mock listens on loopback.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::faults::{Fault, FaultKind};
use crate::phase::Phase;
use crate::server::Server;

/// Where the admin routes begin.
pub(crate) const ROOT: &str = "/__mock/";

#[derive(Deserialize)]
struct Advance {
    steps: u32,
}

#[derive(Deserialize)]
struct NewPhase {
    phase: Phase,
}

/// Answers one call. `route` is the path after [`ROOT`].
pub(crate) async fn answer(server: &Server, method: &Method, route: &str, body: &[u8]) -> Answer {
    let result = match (method.as_str(), route) {
        ("GET", "faults") => Ok(json!(server.fault_plan().armed())),
        ("GET", "fault-kinds") => Ok(kinds()),
        ("POST", "faults") => arm(server, body),
        ("DELETE", "faults") => {
            server.fault_plan().clear();
            Ok(json!([]))
        }
        ("GET", "gpu") => Ok(state(server)),
        ("POST", "advance") => match serde_json::from_slice::<Advance>(body) {
            Ok(wanted) => Ok(json!({ "steps": server.gpu().advance(wanted.steps).await })),
            Err(error) => Err(error.to_string()),
        },
        ("POST", "phase") => match serde_json::from_slice::<NewPhase>(body) {
            Ok(wanted) => {
                change_phase_soon(server.clone(), wanted.phase);
                Ok(json!({ "phase": wanted.phase }))
            }
            Err(error) => Err(error.to_string()),
        },
        _ => {
            let known = "GET, POST, DELETE faults; GET fault-kinds; GET gpu; POST advance; POST phase";
            return Answer::with_status(
                StatusCode::NOT_FOUND,
                &json!({ "error": format!("no admin route {method} {ROOT}{route}; there are: {known}") }),
            );
        }
    };
    match result {
        Ok(value) => Answer::json(&value),
        Err(error) => Answer::with_status(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

/// Changes the phase once this answer has had the time to leave: closing the port ends its connection.
fn change_phase_soon(server: Server, phase: Phase) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.set_phase(phase).await;
    });
}

/// Arms one fault or a list of them.
fn arm(server: &Server, body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let list = if value.is_array() { value } else { json!([value]) };
    let faults: Vec<Fault> = serde_json::from_value(list).map_err(|error| error.to_string())?;
    for fault in faults {
        server.inject(fault);
    }
    Ok(json!(server.fault_plan().armed()))
}

fn kinds() -> Value {
    let kinds = FaultKind::ALL.iter().map(
        |kind| json!({ "kind": kind.name, "fields": kind.fields, "does": kind.description.concat().trim() }),
    );
    kinds.collect()
}

fn state(server: &Server) -> Value {
    let (gpu, life) = (server.gpu(), *server.process().borrow());
    let progress = gpu.progress();
    json!({
        "phase": life.phase,
        "starts": life.start,
        "fraction": progress.fraction,
        "job": progress.job,
        "sampling_step": progress.sampling_step,
        "sampling_steps": progress.sampling_steps,
        "queued": progress.queued,
        "renders": gpu.renders(),
        "steps_done": gpu.steps_done(),
        "interrupts": gpu.interrupts(),
    })
}
