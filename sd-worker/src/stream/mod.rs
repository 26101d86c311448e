//! Pictures one by one: each is a chunk of the job's stream as soon as it is finished.
//!
//! The WebUI answers a request only when all its pictures are done, so the batches of a render are sent as
//! [requests of their own](split), one after another, with one turn on the GPU for all of them. A picture is handed over
//! for the platform before the next one is asked for, and does not wait for it; what was streamed before an error stays.

mod chunk;
mod list;
mod split;

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use runpod_sdk::handler::LARGEST_CHUNK;
use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, MaybeStreaming, Streaming};
use serde_json::value::RawValue;
use tracing::info;

use self::list::List;
use self::split::{Seeds, Split};
use crate::app::App;
use crate::checks::Checked;
use crate::code::{Code, Explain};
use crate::failure::Failure;
use crate::health::Health;
use crate::lenient::is_true;
use crate::monitor::{PART_FINISHED, PART_STARTED};
use crate::output::{Delivery, Picture, blocking};
use crate::request::{RequestError, Wishes, Work};
use crate::settings::StreamSettings;
use crate::splice::Object;
use crate::webui::{Call, Turn, unless_cancelled};

/// What a job answers: the WebUI's answer, or its pictures one by one.
pub(crate) type Answer = MaybeStreaming<RawJson, BoxStream<'static, Result<RawJson, JobError>>>;

/// A stream is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The job's output is the list of all chunks, too.
    aggregate: bool,
}

impl Wanted {
    /// Whether a job wants its pictures one by one; `None` if not. What the worker's owner has set holds for jobs
    /// that can be streamed and say nothing of it.
    pub(crate) fn by(
        settings: StreamSettings,
        wishes: &Wishes,
        work: Work,
        call: &Call,
    ) -> Result<Option<Self>, RequestError> {
        if !wishes.stream.unwrap_or(settings.stream) && wishes.aggregate != Some(true) {
            // A job that goes the plain way is not looked at.
            return Ok(None);
        }
        let obstacle = if work != Work::Render {
            Some("only txt2img and img2img are streamed")
        } else if sends_no_images(call) {
            Some("there is nothing to stream with send_images: false")
        } else {
            None
        };
        let streams = match (wishes.stream, obstacle) {
            (Some(true), Some(why)) => return Err(refused("worker.stream", why)),
            (wish, obstacle) => wish.unwrap_or(settings.stream) && obstacle.is_none(),
        };
        if !streams && wishes.aggregate == Some(true) {
            return Err(refused(
                "worker.aggregate",
                "only chunks of a stream are listed; add \"stream\": true",
            ));
        }
        Ok(streams.then(|| Self {
            aggregate: wishes.aggregate.unwrap_or(settings.stream_aggregate),
        }))
    }

    /// Streams the pictures of a render that is ready to begin.
    pub(crate) fn answer(self, app: &App, ctx: &Context, ready: Ready) -> Answer {
        let list = self.aggregate.then(|| List::new(ready.delivery.limit()));
        let chunks = Streaming::new(Series::new(app, ctx, ready, list).chunks());
        MaybeStreaming::Chunks(if self.aggregate {
            chunks.aggregated()
        } else {
            chunks
        })
    }
}

/// A render that has its turn.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) turn: Turn,
    pub(crate) call: Call,
    pub(crate) checked: Checked,
    pub(crate) delivery: Delivery,
}

/// A job's pictures, of which some are still to be rendered.
#[derive(Debug)]
struct Series {
    app: App,
    ctx: Context,
    /// Given back when the last picture is rendered, and when the WebUI needs care between two of them.
    turn: Option<Turn>,
    split: Split,
    checked: Checked,
    delivery: Delivery,
    /// Rendered, and not yet on their way.
    finished: VecDeque<Picture>,
    /// What the checks have added to the last answer.
    warnings: Option<Box<RawValue>>,
    /// Pictures that are on their way.
    streamed: usize,
    /// The list of all chunks, where that is the job's output.
    list: Option<List>,
}

impl Series {
    fn new(app: &App, ctx: &Context, ready: Ready, list: Option<List>) -> Self {
        let Ready {
            turn,
            call,
            checked,
            delivery,
        } = ready;
        let split = Split::of(call);
        if let Some(why) = split.in_one {
            info!("the pictures are rendered in one and streamed after that: {why}");
        }
        Self {
            app: app.clone(),
            ctx: ctx.clone(),
            turn: Some(turn),
            split,
            checked,
            delivery,
            finished: VecDeque::new(),
            warnings: None,
            streamed: 0,
            list,
        }
    }

    /// The chunks. Each is made when it is asked for.
    fn chunks(self) -> BoxStream<'static, Result<RawJson, JobError>> {
        stream::try_unfold(self, |mut series| async move {
            match series.next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, series))),
                Err(failure) => Err(series.app.health.explain(failure)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<RawJson>, Failure> {
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
    async fn render(&mut self) -> Result<bool, Failure> {
        let Some(part) = self.split.part() else {
            return Ok(false);
        };
        let call = self.split.call().ok_or(StreamError::NoSeed)?;
        let mut turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.app.renderer.turn(&self.ctx).await?,
        };
        self.ctx.mark(PART_STARTED);
        let answer = turn.render_part(&call, part, &self.ctx).await?;
        self.ctx.mark(PART_FINISHED);
        if part.is_last() {
            drop(turn);
            self.ctx.mark("inference_finished");
        } else {
            self.turn = Some(turn);
        }
        let before = answer.clone();
        let answer = self.app.checks.after(self.checked.clone(), &call, answer).await?;
        let has_more = !std::ptr::eq(before.as_str(), answer.as_str());
        drop(before);
        let wants_seeds = self.split.wants_seeds();
        let (pictures, seeds, warnings) = blocking(move || {
            let seeds = wants_seeds.then(|| Seeds::of(&answer)).flatten();
            let warnings = has_more.then(|| warnings(&answer)).flatten();
            (Picture::all_of(&answer), seeds, warnings)
        })
        .await;
        if pictures.is_empty() {
            return Err(StreamError::NoPictures.into());
        }
        self.split.done(seeds);
        // What is added behind the pictures of a render, such as a map, comes once, and last. Where no seeds are
        // listed it cannot be told apart.
        let seeds_are_listed = pictures.iter().any(|picture| picture.is_seeded);
        let belongs = |picture: &Picture| part.is_last() || !seeds_are_listed || picture.is_seeded;
        self.finished.extend(pictures.into_iter().filter(belongs));
        self.warnings = warnings;
        Ok(true)
    }

    async fn deliver(&mut self, mut picture: Picture) -> Result<RawJson, Failure> {
        picture.index = self.streamed;
        self.streamed += 1;
        let warnings = self.warnings.as_deref();
        let left = self.list.as_ref().map_or(usize::MAX, List::left);
        let room = chunk::room(&picture, warnings, LARGEST_CHUNK.min(left));
        let delivering = unless_cancelled(&self.ctx, self.delivery.picture(&picture, room));
        let delivered = lending(&mut self.turn, &self.app.health, delivering).await?;
        let delivered = delivered.map_err(|error| {
            if left < LARGEST_CHUNK {
                error.of_a_list()
            } else {
                error
            }
        })?;
        let chunk = chunk::json(&picture, &delivered, warnings).map_err(StreamError::NotJson)?;
        if let Some(list) = &mut self.list {
            list.add(&chunk);
        }
        Ok(chunk)
    }
}

/// Does the work, and lets go of the GPU if the WebUI needs care meanwhile.
async fn lending<F: Future>(turn: &mut Option<Turn>, health: &Health, work: F) -> F::Output {
    let mut work = pin!(work);
    if turn.is_some() {
        tokio::select! {
            biased;
            () = health.ill() => *turn = None,
            done = &mut work => return done,
        }
    }
    work.await
}

fn warnings(answer: &RawJson) -> Option<Box<RawValue>> {
    let warnings = Object::read(answer.as_str())?.get("warnings")?;
    Some(warnings.to_owned())
}

fn sends_no_images(call: &Call) -> bool {
    let body = call.body.as_ref().map(RawJson::as_str).unwrap_or_default();
    body.contains("\"send_images\"")
        && Object::read(body)
            .and_then(|request| request.decode("send_images"))
            .is_some_and(|value| !is_true(&value))
}

fn refused(path: &'static str, why: &str) -> RequestError {
    RequestError::Form {
        path: path.into(),
        why: why.to_owned(),
    }
}

/// Answers that cannot be streamed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the WebUI's answer has no pictures to stream")]
    NoPictures,
    #[error("the WebUI's answer does not say which seed was used, so the next picture cannot be asked for")]
    NoSeed,
    #[error("a picture could not be written as a chunk: {0}")]
    NotJson(serde_json::Error),
}

impl Explain for StreamError {
    fn code(&self) -> Code {
        Code::BadAnswer
    }

    fn own_hint(&self) -> Option<&'static str> {
        Some("send the job without worker.stream to see the whole answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: StreamSettings = StreamSettings {
        stream: false,
        stream_aggregate: false,
    };
    const ON: StreamSettings = StreamSettings {
        stream: true,
        stream_aggregate: false,
    };

    fn wanted(
        settings: StreamSettings,
        wishes: &str,
        work: Work,
        body: &'static str,
    ) -> Result<Option<bool>, String> {
        let wishes = serde_json::from_str(wishes).unwrap();
        let call = Call::txt2img(RawJson::parse(body).unwrap());
        match Wanted::by(settings, &wishes, work, &call) {
            Ok(wanted) => Ok(wanted.map(|wanted| wanted.aggregate)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_job_s_wish_wins_over_the_owner_s_setting() {
        let of = |settings, wishes| wanted(settings, wishes, Work::Render, "{}");
        assert_eq!(of(OFF, "{}"), Ok(None));
        assert_eq!(of(ON, "{}"), Ok(Some(false)));
        assert_eq!(of(ON, r#"{"stream": false}"#), Ok(None));
        assert_eq!(of(OFF, r#"{"stream": true, "aggregate": true}"#), Ok(Some(true)));
        assert_eq!(of(ON, r#"{"aggregate": true}"#), Ok(Some(true)));
        assert!(
            of(OFF, r#"{"aggregate": true}"#)
                .unwrap_err()
                .starts_with("input.worker.aggregate:")
        );
    }

    #[test]
    fn what_cannot_be_streamed_is_refused_if_the_job_wishes_it_and_else_not_streamed() {
        let stream = r#"{"stream": true}"#;
        for (work, body) in [
            (Work::Gpu, "{}"),
            (Work::Beside, "{}"),
            (Work::Render, r#"{"send_images": false}"#),
        ] {
            assert!(
                wanted(OFF, stream, work, body)
                    .unwrap_err()
                    .starts_with("input.worker.stream:")
            );
            assert_eq!(wanted(ON, "{}", work, body), Ok(None));
        }
        assert_eq!(
            wanted(OFF, stream, Work::Render, r#"{"send_images": "yes"}"#),
            Ok(Some(false))
        );
    }
}
