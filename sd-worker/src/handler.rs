//! The route of a job (`docs/protocol/request-flow.md`, steps 2 to 7).
//!
//! | step | made in |
//! |---|---|
//! | the input is read: route, body, options | [`crate::request`] |
//! | stream and delivery are planned, before anything renders | [`crate::stream`], [`crate::output`] |
//! | pictures by URL are fetched, sampler names split, names checked | [`crate::request`], [`crate::compat`], [`crate::checks`] |
//! | the answer is found in the cache, or rendered with a lease of the GPU, alone or in a batch | [`crate::cache`], [`crate::batch`], [`crate::render`] |
//! | the answer is checked, kept and delivered | [`crate::checks`], [`crate::cache`], [`crate::output`] |
//! | an error becomes the job's error | [`crate::failure`] |

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, MaybeStreaming, State, Streaming, handler};
use serde_json::Value;

use crate::app::App;
use crate::batch::Rendered;
use crate::cache::CacheSlot;
use crate::cancelled::unless_cancelled;
use crate::failure::Failure;
use crate::marks::{INFERENCE_FINISHED, INFERENCE_STARTED, READINESS_CHECKED};
use crate::render::{GpuLease, RenderJobs};
use crate::request::{GpuUse, Request, without_secrets};
use crate::stream::{PreparedRender, StreamPlan, StreamTools};
use crate::webui::Call;

/// A job's output: the WebUI's answer, or its pictures one by one.
pub(crate) type Answer = MaybeStreaming<RawJson, BoxStream<'static, Result<RawJson, JobError>>>;

/// Sends the job's input to the WebUI and returns the WebUI's answer, both byte for byte. The job's options or the
/// worker's settings may have its pictures uploaded, re-encoded or streamed.
#[handler]
pub(crate) async fn forward(
    input: RawJson,
    ctx: Context,
    State(app): State<App>,
) -> Result<Answer, JobError> {
    let mut warnings = None;
    let answer = answer(input, &ctx, &app, &mut warnings).await;
    answer.map_err(|failure| failure.report(&app.health, warnings))
}

/// `warnings` get what the checks find before the render, for the error of a job that fails later.
async fn answer(
    input: RawJson,
    ctx: &Context,
    app: &App,
    warnings: &mut Option<Value>,
) -> Result<Answer, Failure> {
    let Request {
        call,
        gpu_use,
        options,
    } = Request::read(&input, &app.allowed)?;
    // A body that is edited later needs no copy of what came.
    drop(input);
    let plan = StreamPlan::of(app.stream, &options, gpu_use, &call)?;
    let delivery = app
        .output
        .plan(&options, gpu_use.gives_pictures(&call), ctx)
        .await?;
    let call = match &app.pictures {
        Some(pictures) => pictures.fetch(call, ctx).await?,
        None => call,
    };
    if gpu_use == GpuUse::Unneeded {
        let answer = unless_cancelled(ctx, app.webui.send(&call)).await??;
        return Ok(Answer::Value(without_secrets(&call, answer)));
    }
    let call = match gpu_use {
        GpuUse::Render => unless_cancelled(ctx, app.compat.adapt(call)).await?,
        _ => call,
    };
    // The checks fetch the WebUI's lists, which may take long.
    let checked = unless_cancelled(ctx, app.checks.before(&call, options.checks)).await??;
    *warnings = checked.warnings();
    if let Some(plan) = plan {
        let lease = lease(app, ctx).await?;
        ctx.mark(INFERENCE_STARTED);
        let render = PreparedRender {
            lease,
            call,
            checked,
            delivery,
        };
        return Ok(streamed(plan, app, ctx, render));
    }
    let mut slot = CacheSlot::of(&call, app.cache.as_ref());
    let answer = match slot.answer() {
        Some(answer) => {
            ctx.mark(READINESS_CHECKED);
            Rendered { answer, slot }
        }
        None => render(&call, slot, app, ctx).await?,
    };
    let Rendered { answer, slot } = answer;
    if gpu_use == GpuUse::Other
        && let Some(batcher) = &app.batcher
    {
        batcher.forget_lists();
    }
    let answer = unless_cancelled(ctx, app.checks.after(checked, &call, answer)).await??;
    slot.keep();
    let answer = unless_cancelled(ctx, delivery.answer(answer)).await??;
    Ok(Answer::Value(answer))
}

/// Waits for the GPU. The WebUI was ready before the first job was taken, but an earlier render may still have to be
/// stopped.
async fn lease(app: &App, ctx: &Context) -> Result<GpuLease, Failure> {
    if let Some(batcher) = &app.batcher {
        batcher.passes_by(ctx);
    }
    let lease = app.renderer.lease(ctx).await?;
    ctx.mark(READINESS_CHECKED);
    Ok(lease)
}

async fn render(call: &Call, mut slot: CacheSlot, app: &App, ctx: &Context) -> Result<Rendered, Failure> {
    if let Some(batcher) = &app.batcher
        && let Some(share) = unless_cancelled(ctx, batcher.share(call)).await?
    {
        return Ok(batcher.render(call.clone(), share, slot, ctx).await?);
    }
    let lease = lease(app, ctx).await?;
    if let Some(answer) = slot.answer_with_lease() {
        return Ok(Rendered { answer, slot });
    }
    ctx.mark(INFERENCE_STARTED);
    let finished = lease.render(call, &RenderJobs::one(ctx)).await?;
    ctx.mark(INFERENCE_FINISHED);
    slot.put(&finished);
    let answer = finished.answer;
    Ok(Rendered { answer, slot })
}

fn streamed(plan: StreamPlan, app: &App, ctx: &Context, render: PreparedRender) -> Answer {
    let tools = StreamTools {
        renderer: app.renderer.clone(),
        health: app.health.clone(),
        checks: app.checks.clone(),
    };
    let health = app.health.clone();
    let warnings = render.checked.warnings();
    let chunks = plan.chunks(tools, ctx, render);
    let chunks = chunks
        .map(move |chunk| chunk.map_err(|error| Failure::from(error).report(&health, warnings.clone())));
    let chunks = Streaming::new(chunks.boxed());
    MaybeStreaming::Chunks(if plan.is_aggregated() {
        chunks.aggregated()
    } else {
        chunks
    })
}
