//! The work of a render, as its request tells it.

use serde::Deserialize;
use serde_json::Value;

use crate::coerce::{is_true, number};
use crate::extension;
use crate::render::jobs::RenderJobs;
use crate::webui::{Call, ExpectedJob, JobKind};

/// The WebUI's defaults (`docs/protocol/webui-api.md` §3).
const STEPS: f64 = 50.0;
const SIDE: f64 = 512.0;
const HIRES_SCALE: f64 = 2.0;

/// The fields that decide how long a render takes. A value that the WebUI refuses counts as the default here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Workload {
    steps: f64,
    /// The number of batches, rendered one after another.
    batches: u32,
    /// The number of pictures in one batch.
    batch_size: u32,
    pixels: f64,
    /// A script or an extension takes part, and may render more batches or steps.
    has_scripts: bool,
    job_kind: JobKind,
    /// With hires fix: the work of the second pass of each batch, relative to that of the first.
    hires: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    steps: Value,
    n_iter: Value,
    batch_size: Value,
    width: Value,
    height: Value,
    enable_hr: Value,
    hr_scale: Value,
    script_name: Value,
    alwayson_scripts: Value,
}

impl Workload {
    /// Reads the request.
    pub(super) fn of(call: &Call) -> Self {
        let fields: Fields = call
            .body
            .as_ref()
            .and_then(|body| serde_json::from_slice(body.as_bytes()).ok())
            .unwrap_or_default();
        let size = |field: &Value, default| {
            number(field)
                .filter(|number| number.is_finite() && *number >= 1.0)
                .unwrap_or(default)
        };
        let hires = is_true(&fields.enable_hr);
        Self {
            steps: size(&fields.steps, STEPS),
            batches: count(&fields.n_iter),
            batch_size: count(&fields.batch_size),
            pixels: size(&fields.width, SIDE) * size(&fields.height, SIDE),
            has_scripts: !is_empty(&fields.script_name) || has_other_scripts(&fields.alwayson_scripts),
            job_kind: call.job_kind,
            hires: hires.then(|| size(&fields.hr_scale, HIRES_SCALE).powi(2)),
        }
    }

    /// The work as each of the jobs sees it: one picture of a batch.
    pub(super) fn of_each(mut self, jobs: &RenderJobs) -> Self {
        if jobs.are_several() {
            self.batch_size = 1;
        }
        self
    }

    /// What progress says of the render, as far as the request decides it.
    pub(super) fn expected_job(&self) -> ExpectedJob {
        if self.has_scripts || !self.job_kind.is_render() {
            return ExpectedJob::default();
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large becomes the largest"
        )]
        let steps = self.steps as i64;
        // From a picture fewer steps are done than asked for, and hires fix has other steps in its second pass.
        let decides_steps = self.job_kind == JobKind::Txt2Img && self.hires.is_none();
        ExpectedJob {
            batches: Some(self.batches_counted()),
            steps: decides_steps.then_some(steps),
        }
    }

    /// The batches, as the WebUI counts them: each pass of each.
    pub(super) fn batches_counted(&self) -> i64 {
        i64::from(self.batches) * i64::from(self.passes())
    }

    /// The number of passes of each batch.
    pub(super) fn passes(&self) -> u32 {
        if self.hires.is_some() { 2 } else { 1 }
    }

    pub(super) fn batches(&self) -> u32 {
        self.batches
    }

    pub(super) fn batch_size(&self) -> u32 {
        self.batch_size
    }

    /// A measure of the whole work. The time of a render is about proportional to it, for one model.
    pub(super) fn work(&self) -> f64 {
        self.steps
            * f64::from(self.batches)
            * f64::from(self.batch_size)
            * self.pixels
            * (1.0 + self.hires.unwrap_or_default())
    }
}

fn is_empty(field: &Value) -> bool {
    match field {
        Value::String(text) => text.is_empty(),
        Value::Object(object) => object.is_empty(),
        other => other.is_null(),
    }
}

/// Whether scripts take part beside the worker's own, which adds no work.
fn has_other_scripts(field: &Value) -> bool {
    match field {
        Value::Object(scripts) => scripts.keys().any(|title| title != extension::TITLE),
        other => !is_empty(other),
    }
}

/// A count, at least one.
fn count(field: &Value) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a whole number that fits"
    )]
    let whole = |number: f64| number.trunc() as u32;
    number(field)
        .filter(|number| (1.0..=f64::from(u32::MAX)).contains(number))
        .map_or(1, whole)
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::*;

    fn workload(body: &'static str) -> Workload {
        Workload::of(&Call::txt2img(RawJson::parse(body).unwrap()))
    }

    fn assert_work(workload: Workload, work: f64) {
        assert!(
            (workload.work() - work).abs() < 1.0,
            "{} is not {work}",
            workload.work()
        );
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let plain = workload("{}");
        assert_eq!((plain.batches(), plain.batch_size(), plain.passes()), (1, 1, 1));
        assert_work(plain, 50.0 * 512.0 * 512.0);
        assert_eq!(
            workload(r#"{"steps": "many", "n_iter": -1, "batch_size": null, "width": 0}"#),
            plain
        );
    }

    #[test]
    fn what_progress_will_say_is_known_where_the_request_decides_it() {
        let expected = |body: &'static str| {
            let ExpectedJob { batches, steps } = workload(body).expected_job();
            (batches, steps)
        };
        assert_eq!(expected("{}"), (Some(1), Some(50)));
        assert_eq!(expected(r#"{"steps": 9, "n_iter": 3}"#), (Some(3), Some(9)));
        assert_eq!(expected(r#"{"enable_hr": true, "n_iter": 3}"#), (Some(6), None));
        assert_eq!(
            expected(r#"{"alwayson_scripts": {"batch jobs": {}}, "batch_size": 4}"#),
            (Some(1), Some(50))
        );
        assert_eq!(expected(r#"{"script_name": "x/y/z plot"}"#), (None, None));
        assert_eq!(
            expected(r#"{"alwayson_scripts": {"ADetailer": {}}}"#),
            (None, None)
        );
        let from_picture = Workload::of(&Call::img2img(RawJson::parse("{}").unwrap()));
        assert_eq!(from_picture.expected_job().steps, None);
    }

    #[test]
    fn all_that_makes_a_render_longer_counts() {
        let large = workload(r#"{"steps": 10, "n_iter": 3, "batch_size": 2, "width": 1024, "height": 512}"#);
        assert_work(large, 10.0 * 6.0 * 1024.0 * 512.0);
        assert_eq!(
            workload(r#"{"steps": "10", "n_iter": "3", "batch_size": 2.0, "width": "1024", "height": 512}"#),
            large,
            "as the WebUI reads it"
        );
        let hires = workload(r#"{"steps": 10, "enable_hr": "true", "hr_scale": 1.5}"#);
        assert_eq!(hires.passes(), 2);
        assert_work(hires, 10.0 * 512.0 * 512.0 * 3.25);
    }
}
