//! Decides whether a job is streamed.

use futures_util::stream::BoxStream;
use runpod_sdk::Context;
use runpod_sdk::json::RawJson;

use super::error::StreamError;
use super::list::ChunkList;
use super::series::{PreparedRender, Series, StreamTools};
use crate::coerce::is_true;
use crate::request::{GpuUse, JobOptions, RequestError};
use crate::settings::StreamSettings;
use crate::splice::{Object, may_have};
use crate::webui::Call;

/// The plan of a job that is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamPlan {
    /// The job's output is the list of all chunks, too.
    aggregate: bool,
}

impl StreamPlan {
    /// The plan of a job; `None` if it is not streamed. The worker's setting holds for jobs that can be streamed and have
    /// no option of their own.
    pub(crate) fn of(
        settings: StreamSettings,
        options: &JobOptions,
        gpu_use: GpuUse,
        call: &Call,
    ) -> Result<Option<Self>, RequestError> {
        if !options.stream.unwrap_or(settings.stream) && options.aggregate != Some(true) {
            // The request of a job that is not streamed is not parsed.
            return Ok(None);
        }
        let obstacle = if gpu_use != GpuUse::Render {
            Some("only txt2img and img2img are streamed")
        } else if sends_no_images(call) {
            Some("there is nothing to stream with send_images: false")
        } else {
            None
        };
        let streams = match (options.stream, obstacle) {
            (Some(true), Some(why)) => return Err(refused("worker.stream", why)),
            (option, obstacle) => option.unwrap_or(settings.stream) && obstacle.is_none(),
        };
        if !streams && options.aggregate == Some(true) {
            return Err(refused(
                "worker.aggregate",
                "only chunks of a stream are listed; add \"stream\": true",
            ));
        }
        Ok(streams.then(|| Self {
            aggregate: options.aggregate.unwrap_or(settings.stream_aggregate),
        }))
    }

    /// Whether the job's output is the list of all chunks, too.
    pub(crate) fn is_aggregated(self) -> bool {
        self.aggregate
    }

    /// Streams the pictures of a render. Each chunk is made when it is polled.
    pub(crate) fn chunks(
        self,
        tools: StreamTools,
        ctx: &Context,
        render: PreparedRender,
    ) -> BoxStream<'static, Result<RawJson, StreamError>> {
        let list = self.aggregate.then(|| ChunkList::new(render.delivery.limit()));
        Series::new(tools, ctx, render, list).chunks()
    }
}

fn sends_no_images(call: &Call) -> bool {
    let body = call.body.as_ref().map(RawJson::as_str).unwrap_or_default();
    may_have(body, "send_images")
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

    fn planned(
        settings: StreamSettings,
        options: &str,
        gpu_use: GpuUse,
        body: &'static str,
    ) -> Result<Option<bool>, String> {
        let options = serde_json::from_str(options).unwrap();
        let call = Call::txt2img(RawJson::parse(body).unwrap());
        match StreamPlan::of(settings, &options, gpu_use, &call) {
            Ok(plan) => Ok(plan.map(|plan| plan.aggregate)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_job_s_option_wins_over_the_worker_s_setting() {
        let of = |settings, options| planned(settings, options, GpuUse::Render, "{}");
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
    fn what_cannot_be_streamed_is_refused_if_the_job_asks_for_it_and_else_not_streamed() {
        let stream = r#"{"stream": true}"#;
        for (gpu_use, body) in [
            (GpuUse::Other, "{}"),
            (GpuUse::Unneeded, "{}"),
            (GpuUse::Render, r#"{"send_images": false}"#),
        ] {
            assert!(
                planned(OFF, stream, gpu_use, body)
                    .unwrap_err()
                    .starts_with("input.worker.stream:")
            );
            assert_eq!(planned(ON, "{}", gpu_use, body), Ok(None));
        }
        assert_eq!(
            planned(OFF, stream, GpuUse::Render, r#"{"send_images": "yes"}"#),
            Ok(Some(false))
        );
    }
}
