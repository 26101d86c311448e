//! The pictures of one streamed job, rendered and delivered one after another.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use runpod_sdk::Context;
use runpod_sdk::handler::LARGEST_CHUNK;
use runpod_sdk::json::RawJson;
use serde_json::value::RawValue;
use tracing::{info, warn};

use super::chunk;
use super::error::StreamError;
use super::list::ChunkList;
use super::split::{RenderSplit, Seeds};
use crate::cancelled::unless_cancelled;
use crate::checks::{Checked, Checks};
use crate::marks::{INFERENCE_FINISHED, PART_FINISHED, PART_STARTED};
use crate::output::{Delivery, NotAPicture, Picture, blocking};
use crate::render::{GpuLease, RenderJobs, Renderer};
use crate::splice::Object;
use crate::supervisor::Health;
use crate::webui::Call;

/// The parts of the worker that a stream uses.
#[derive(Debug, Clone)]
pub(crate) struct StreamTools {
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) health: Health,
    pub(crate) checks: Arc<Checks>,
}

/// A render that can begin.
#[derive(Debug)]
pub(crate) struct PreparedRender {
    pub(crate) lease: GpuLease,
    pub(crate) call: Call,
    pub(crate) checked: Checked,
    pub(crate) delivery: Delivery,
}

/// The pictures of a job, some of which are not rendered yet.
#[derive(Debug)]
pub(super) struct Series {
    tools: StreamTools,
    ctx: Context,
    /// Given back after the last render, and when the WebUI has to be recovered between two renders.
    lease: Option<GpuLease>,
    split: RenderSplit,
    checked: Checked,
    delivery: Delivery,
    /// Rendered pictures that are not delivered yet.
    finished: VecDeque<Picture>,
    /// The warnings of the checks about the last answer.
    warnings: Option<Box<RawValue>>,
    /// What the last answer has in the place of pictures, if there is such a thing.
    not_streamed: Option<Box<RawValue>>,
    /// The number of delivered pictures.
    delivered: usize,
    /// The list of all chunks, if that is the job's output.
    list: Option<ChunkList>,
}

impl Series {
    pub(super) fn new(
        tools: StreamTools,
        ctx: &Context,
        render: PreparedRender,
        list: Option<ChunkList>,
    ) -> Self {
        let PreparedRender {
            lease,
            call,
            checked,
            delivery,
        } = render;
        let split = RenderSplit::of(call);
        if let Some(why) = split.in_one {
            info!("the pictures are rendered in one and streamed after that: {why}");
        }
        Self {
            tools,
            ctx: ctx.clone(),
            lease: Some(lease),
            split,
            checked,
            delivery,
            finished: VecDeque::new(),
            warnings: None,
            not_streamed: None,
            delivered: 0,
            list,
        }
    }

    /// The chunks. Each is made when it is polled.
    pub(super) fn chunks(self) -> BoxStream<'static, Result<RawJson, StreamError>> {
        stream::try_unfold(self, |mut series| async move {
            let chunk = series.next().await?;
            Ok(chunk.map(|chunk| (chunk, series)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<RawJson>, StreamError> {
        while self.finished.is_empty() {
            if !self.render().await? {
                return Ok(None);
            }
        }
        match self.finished.pop_front() {
            Some(picture) => self.deliver(picture).await.map(Some),
            None => Ok(None),
        }
    }

    /// Renders the next part. False if none is left.
    async fn render(&mut self) -> Result<bool, StreamError> {
        let Some(part) = self.split.part() else {
            return Ok(false);
        };
        let call = self.split.call().ok_or(StreamError::NoSeed)?;
        let mut lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.tools.renderer.lease(&self.ctx).await?,
        };
        self.ctx.mark(PART_STARTED);
        let answer = lease
            .render_part(&call, part, &RenderJobs::one(&self.ctx))
            .await?;
        self.ctx.mark(PART_FINISHED);
        if part.is_last() {
            drop(lease);
            self.ctx.mark(INFERENCE_FINISHED);
        } else {
            self.lease = Some(lease);
        }
        let before = answer.clone();
        let checks = &self.tools.checks;
        let answer = checks.after(self.checked.clone(), &call, answer).await?;
        let has_warnings = !std::ptr::eq(before.as_str(), answer.as_str());
        drop(before);
        let wants_seeds = self.split.wants_seeds();
        let (pictures, others, seeds, warnings) = blocking(move || {
            let seeds = wants_seeds.then(|| Seeds::of(&answer)).flatten();
            let warnings = has_warnings.then(|| warnings(&answer)).flatten();
            let pictures = Picture::all_of(&answer);
            let others = NotAPicture::all_of(&answer, &pictures);
            (pictures, others, seeds, warnings)
        })
        .await;
        if pictures.is_empty() {
            return Err(StreamError::NoPictures { found: others });
        }
        self.split.done(seeds);
        // A picture that is added behind those of a render, such as a map, is streamed once, after the last part. It
        // cannot be recognised where no seeds are listed.
        let seeds_are_listed = pictures.iter().any(|picture| picture.is_seeded);
        let belongs = |picture: &Picture| part.is_last() || !seeds_are_listed || picture.is_seeded;
        self.finished.extend(pictures.into_iter().filter(belongs));
        self.warnings = warnings;
        self.not_streamed = None;
        if !others.is_empty() {
            warn!("the answer has something in the place of pictures that cannot be streamed");
            let others = serde_json::value::to_raw_value(&others);
            self.not_streamed = Some(others.map_err(StreamError::NotJson)?);
        }
        Ok(true)
    }

    async fn deliver(&mut self, mut picture: Picture) -> Result<RawJson, StreamError> {
        picture.index = self.delivered;
        self.delivered += 1;
        let is_last_of_its_render = self.finished.is_empty();
        let notes = chunk::Notes {
            warnings: self.warnings.as_deref(),
            not_streamed: self.not_streamed.as_deref().filter(|_| is_last_of_its_render),
        };
        let left = self.list.as_ref().map_or(usize::MAX, ChunkList::left);
        let room = chunk::room(&picture, notes, LARGEST_CHUNK.min(left));
        let delivering = unless_cancelled(&self.ctx, self.delivery.picture(&picture, room));
        let delivered = lending(&mut self.lease, &self.tools.health, delivering).await?;
        let delivered = delivered.map_err(|error| {
            if left < LARGEST_CHUNK {
                error.of_a_list()
            } else {
                error
            }
        })?;
        let chunk = chunk::json(&picture, &delivered, notes).map_err(StreamError::NotJson)?;
        if let Some(list) = &mut self.list {
            list.add(&chunk);
        }
        Ok(chunk)
    }
}

/// Does the work, and gives the GPU back if the WebUI has to be recovered meanwhile.
async fn lending<F: Future>(lease: &mut Option<GpuLease>, health: &Health, work: F) -> F::Output {
    let mut work = pin!(work);
    if lease.is_some() {
        tokio::select! {
            biased;
            () = health.ill() => *lease = None,
            done = &mut work => return done,
        }
    }
    work.await
}

fn warnings(answer: &RawJson) -> Option<Box<RawValue>> {
    let warnings = Object::read(answer.as_str())?.get("warnings")?;
    Some(warnings.to_owned())
}
