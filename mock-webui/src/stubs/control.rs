//! Looking at and steering the work in progress (§7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wiremock::Request;

use super::route::Route;
use crate::answer::{Answer, Failure};
use crate::file;
use crate::gpu::Preview;
use crate::gpu::picture::Picture;
use crate::profile::Profile;
use crate::render;
use crate::request::coerce::{Kind, coerce};
use crate::server::Server;

pub(crate) fn routes(profile: Profile) -> Vec<Route> {
    let progress = if profile.is_sd_next() {
        progress_of_sd_next
    } else {
        progress
    };
    let progress = Route::get("/sdapi/v1/progress", progress);
    vec![
        // Forge asks for no credentials here.
        if profile.is_forge() {
            progress.open_to_all()
        } else {
            progress
        },
        Route::post("/sdapi/v1/interrupt", |server, _| {
            server.gpu().interrupt();
            Ok(done(server, &json!({})))
        }),
        Route::post("/sdapi/v1/skip", |server, _| {
            server.gpu().skip();
            Ok(done(server, &Value::Null))
        }),
    ]
}

/// The answer of a route that only does something. SD.Next has no body for it.
pub(super) fn done(server: &Server, body: &Value) -> Answer {
    if server.profile().is_sd_next() {
        Answer::no_content()
    } else {
        Answer::json(body)
    }
}

/// The share of SD.Next is that of all steps, in hundredths; its state has no "stopping".
fn progress_of_sd_next(server: &Server, request: &Request) -> Result<Answer, Failure> {
    let skip_image = query_flag(request, "skip_current_image")?;
    let format = server.settings().text("samples_format").to_owned();
    let (mut body, shown) = server.gpu().change(|state| {
        if state.job_count == 0 && state.sampling_step == 0 {
            return (
                json!({
                    "id": "", "progress": 0.0, "eta_relative": 0.0, "state": state.to_json(false),
                    "current_image": null, "textinfo": null,
                }),
                None,
            );
        }
        state.take_preview(1);
        let share = (state.share_of_steps() * 100.0).round() / 100.0;
        let eta = if share > 0.0 {
            state.elapsed() / share - state.elapsed()
        } else {
            0.0
        };
        let body = json!({
            "id": state.task.clone().unwrap_or_default(),
            "progress": share,
            "eta_relative": (eta * 100.0).round() / 100.0,
            "state": state.to_json(false),
            "current_image": null,
            "textinfo": null,
        });
        (body, state.shown.clone().filter(|_| !skip_image))
    });
    if let Some((step, preview)) = shown {
        body["current_image"] =
            Value::from(STANDARD.encode(file::encode(&draw(&preview, step), &format, None)?));
    }
    Ok(Answer::json(&body))
}

fn progress(server: &Server, request: &Request) -> Result<Answer, Failure> {
    let skip_image = query_flag(request, "skip_current_image")?;
    let (every, format) = {
        let settings = server.settings();
        let every = if settings.flag("live_previews_enable") {
            settings.integer("show_progress_every_n_steps")
        } else {
            -1
        };
        (every, settings.text("samples_format").to_owned())
    };
    let (mut body, shown) = server.gpu().change(|state| {
        if state.job_count != 0 {
            state.take_preview(every);
        }
        let body = json!({
            "progress": state.fraction(),
            "eta_relative": state.eta(),
            "state": state.to_json(server.profile() >= Profile::V1_8),
            "current_image": null,
            "textinfo": null,
        });
        (body, state.shown.clone().filter(|_| !skip_image))
    });
    if let Some((step, preview)) = shown {
        body["current_image"] =
            Value::from(STANDARD.encode(file::encode(&draw(&preview, step), &format, None)?));
    }
    Ok(Answer::json(&body))
}

/// The pictures of the batch so far, side by side.
pub(super) fn draw(preview: &Preview, step: u32) -> Picture {
    render::grid(
        &preview
            .scenes
            .iter()
            .map(|scene| scene.draw_preview(step))
            .collect::<Vec<_>>(),
    )
}

/// A boolean of the query string, with the framework's refusal.
fn query_flag(request: &Request, name: &str) -> Result<bool, Failure> {
    let Some((_, text)) = request.url.query_pairs().filter(|(key, _)| key == name).last() else {
        return Ok(false);
    };
    let mut problems = Vec::new();
    match coerce(
        Kind::Flag,
        json!(text),
        &[json!("query"), json!(name)],
        &mut problems,
    ) {
        Some(value) => Ok(value == true),
        None => Err(Failure::Invalid(problems)),
    }
}
