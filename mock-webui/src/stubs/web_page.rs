//! What exists only beside the web page: the page and its own routes (§1, §7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use http::StatusCode;
use serde_json::{Value, json};

use super::control;
use super::route::{Call, Route};
use crate::answer::Answer;
use crate::file;
use crate::gpu::{GpuState, QueuePlace};
use crate::request::Fields;
use crate::request::extras::INTERNAL_PROGRESS;
use crate::server::Server;

pub(crate) fn routes(server: &Server) -> Vec<Route> {
    if server.profile().is_sd_next() {
        // Its page is always there.
        let page = Route::get("/", |_, _| {
            Ok(Answer::html(include_str!("../../data/sd-next/page.html")))
        });
        let progress = Route::post_checked(
            "/internal/progress",
            || INTERNAL_PROGRESS,
            false,
            |call| async move { Ok(progress_of_sd_next(&call)) }.boxed(),
        );
        return vec![page.open_to_all(), progress.open_to_all()];
    }
    if !server.setup().web_page {
        return Vec::new();
    }
    let list = vec![
        Route::get("/", |_, _| Ok(Answer::html(include_str!("../../data/page.html")))),
        Route::get("/internal/ping", |_, _| Ok(Answer::json(&json!({})))),
        Route::get("/internal/pending-tasks", |server, _| {
            let tasks = server
                .gpu()
                .read(|state| state.pending_tasks.iter().cloned().collect::<Vec<_>>());
            Ok(Answer::json(&json!({ "size": tasks.len(), "tasks": tasks })))
        }),
        Route::get("/internal/quicksettings-hint", |server, _| {
            let settings = server.settings().all();
            let hints = settings.keys().map(|name| json!({ "name": name, "label": name }));
            Ok(Answer::json(&hints.collect()))
        }),
        Route::get("/internal/profile-startup", |_, _| {
            Ok(Answer::json(&json!({ "total": 8.0, "records": {} })))
        }),
        Route::get("/internal/sysinfo-download", |server, _| {
            Ok(sysinfo(server).header("content-disposition", "attachment; filename=\"sysinfo.json\""))
        }),
        Route::get("/internal/sysinfo", |server, _| Ok(sysinfo(server))),
        Route::post_checked(
            "/internal/progress",
            || INTERNAL_PROGRESS,
            false,
            |call| async move { Ok(progress(&call)) }.boxed(),
        ),
    ];
    // The page has an authentication of its own; `--api-auth` guards `/sdapi` only.
    list.into_iter().map(Route::open_to_all).collect()
}

fn progress_of_sd_next(call: &Call<(Fields, Option<QueuePlace>)>) -> Answer {
    let (server, (fields, _)) = (&call.server, &call.input);
    let id = fields.text("id_task");
    server.gpu().read(|state| {
        let active = state.task.as_deref() == Some(id);
        let queued = state.pending_tasks.iter().any(|task| task == id);
        Answer::json(&json!({
            "job": if active { state.job.as_str() } else { "" },
            "textinfo": if queued { "Queued..." } else { "Waiting..." },
            "active": active, "queued": queued, "paused": false,
            "completed": state.finished_tasks.iter().any(|task| task == id), "debug": false,
            "step": if active { state.sampling_step } else { 0 },
            "steps": if active { state.sampling_steps.max(1) } else { 1 },
            "batch_no": 0, "batch_count": 0,
            "progress": if active { state.share_of_steps() } else { 0.0 },
            "eta": null, "live_preview": null, "id_live_preview": 0,
        }))
    })
}

fn sysinfo(server: &Server) -> Answer {
    let body = json!({ "Platform": "mock", "Version": server.profile().version() });
    let text = serde_json::to_string_pretty(&body).unwrap_or_default();
    Answer::text(StatusCode::OK, text)
}

fn progress(call: &Call<(Fields, Option<QueuePlace>)>) -> Answer {
    let (server, (fields, _)) = (&call.server, &call.input);
    let id = fields.text("id_task").to_owned();
    let every = server.settings().integer("show_progress_every_n_steps");
    let asked = fields.integer("id_live_preview").unwrap_or(-1);
    let (mut body, shown) = server.gpu().change(|state| {
        if state.task.as_ref() == Some(&id) {
            state.take_preview(every);
            let shown = state
                .shown
                .clone()
                .filter(|(step, _)| fields.flag("live_preview") && i64::from(*step) != asked);
            (active(state), shown)
        } else {
            (waiting(state, &id), None)
        }
    });
    if let Some((step, preview)) = shown {
        let picture = STANDARD.encode(file::png(&control::draw(&preview, step), None));
        body["live_preview"] = Value::from(format!("data:image/png;base64,{picture}"));
        body["id_live_preview"] = Value::from(step);
    }
    Answer::json(&body)
}

fn active(state: &GpuState) -> Value {
    let fraction = state.fraction_of_steps();
    let eta = (fraction > 0.0).then(|| state.elapsed() / fraction - state.elapsed());
    json!({
        "active": true, "queued": false, "completed": false, "progress": fraction, "eta": eta,
        "live_preview": null, "id_live_preview": -1, "textinfo": null,
    })
}

fn waiting(state: &GpuState, id: &str) -> Value {
    let place = state.pending_tasks.iter().position(|task| task == id);
    let textinfo = place.map_or_else(
        || "Waiting...".to_owned(),
        |place| format!("In queue: {}/{}", place + 1, state.pending_tasks.len()),
    );
    json!({
        "active": false, "queued": place.is_some(), "completed": state.finished_tasks.iter().any(|task| task == id),
        "progress": null, "eta": null, "live_preview": null, "id_live_preview": -1, "textinfo": textinfo,
    })
}
