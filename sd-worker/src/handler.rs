//! What happens to a job (`docs/protocol/request-flow.md`, steps 2 to 7).

use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, State, handler};

use crate::app::App;
use crate::cache::Place;
use crate::failure::Failure;
use crate::request::{Request, Work};
use crate::stream::{self, Answer};
use crate::webui::{Call, Turn, unless_cancelled};

/// Sends the job's input to the WebUI and returns the WebUI's answer, both byte for byte; or, where somebody wants it
/// so, with its pictures elsewhere, smaller, or one by one.
#[handler]
pub(crate) async fn forward(
    input: RawJson,
    ctx: Context,
    State(app): State<App>,
) -> Result<Answer, JobError> {
    let answer = answer(input, &ctx, &app).await;
    answer.map_err(|failure| app.health.explain(failure))
}

async fn answer(input: RawJson, ctx: &Context, app: &App) -> Result<Answer, Failure> {
    let Request { call, work, wishes } = Request::read(input, &app.allowed)?;
    let streamed = stream::Wanted::by(app.stream, &wishes, work, &call)?;
    let delivery = app.output.plan(&wishes, work.gives_pictures(&call), ctx).await?;
    let call = match &app.pictures {
        Some(pictures) => pictures.fetch(call, ctx).await?,
        None => call,
    };
    if work == Work::Beside {
        return Ok(Answer::Value(app.webui.ask(&call, ctx).await?));
    }
    let call = match work {
        Work::Render => unless_cancelled(ctx, app.compat.adapt(call)).await?,
        _ => call,
    };
    // These ask the WebUI for its lists, which it may be slow to give.
    let checked = unless_cancelled(ctx, app.checks.before(&call, wishes.checks)).await??;
    if let Some(streamed) = streamed {
        let turn = turn(app, ctx).await?;
        ctx.mark("inference_started");
        let ready = stream::Ready {
            turn,
            call,
            checked,
            delivery,
        };
        return Ok(streamed.answer(app, ctx, ready));
    }
    let mut place = Place::of(&call, app.cache.as_deref());
    let answer = match place.answer() {
        Some(answer) => {
            ctx.mark("readiness_checked");
            answer
        }
        None => render(&call, &mut place, app, ctx).await?,
    };
    let answer = unless_cancelled(ctx, app.checks.after(checked, &call, answer)).await??;
    place.keep();
    let answer = unless_cancelled(ctx, delivery.answer(answer)).await??;
    Ok(Answer::Value(answer))
}

/// The WebUI was ready before the first job was taken. What a job has to wait for is its turn: until the GPU is free
/// of whatever an earlier, broken job may have left behind.
async fn turn(app: &App, ctx: &Context) -> Result<Turn, Failure> {
    let turn = app.renderer.turn(ctx).await?;
    ctx.mark("readiness_checked");
    Ok(turn)
}

async fn render(call: &Call, place: &mut Place<'_>, app: &App, ctx: &Context) -> Result<RawJson, Failure> {
    let turn = turn(app, ctx).await?;
    if let Some(answer) = place.answer_in_turn() {
        return Ok(answer);
    }
    ctx.mark("inference_started");
    let finished = turn.render(call, ctx).await?;
    ctx.mark("inference_finished");
    place.put(&finished);
    Ok(finished.answer)
}
