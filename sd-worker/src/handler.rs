//! What happens to a job (`docs/protocol/request-flow.md`, steps 2 to 7).

use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, State, handler};

use crate::app::App;
use crate::failure::Failure;
use crate::request::{Request, Work};
use crate::webui::unless_cancelled;

/// Sends the job's input to the WebUI and returns the WebUI's answer, both byte for byte unless somebody wants it
/// otherwise.
#[handler]
pub(crate) async fn forward(
    input: RawJson,
    ctx: Context,
    State(app): State<App>,
) -> Result<RawJson, JobError> {
    let answer = answer(input, &ctx, &app).await;
    answer.map_err(|failure| app.health.explain(failure))
}

async fn answer(input: RawJson, ctx: &Context, app: &App) -> Result<RawJson, Failure> {
    let Request { call, work, wishes } = Request::read(input, &app.allowed)?;
    let delivery = app.output.plan(&wishes, work.gives_pictures(&call), ctx).await?;
    let call = match &app.pictures {
        Some(pictures) => pictures.fetch(call, ctx).await?,
        None => call,
    };
    if work == Work::Beside {
        return Ok(app.webui.ask(&call, ctx).await?);
    }
    let call = match &app.compat {
        Some(compat) if work == Work::Render => compat.adapt(call).await,
        _ => call,
    };
    let checked = app.checks.before(&call, wishes.checks).await?;

    // The WebUI was ready before the first job was taken. What a job has to wait for is its turn: until
    // the GPU is free of whatever an earlier, broken job may have left behind.
    let turn = app.renderer.turn(ctx).await?;
    ctx.mark("readiness_checked");
    ctx.mark("inference_started");
    let answer = turn.render(&call, ctx).await?;
    ctx.mark("inference_finished");
    let answer = app.checks.after(checked, &call, answer).await?;
    Ok(unless_cancelled(ctx, delivery.answer(answer, ctx)).await??)
}
