//! The work of a render, as its request tells it.

use serde::Deserialize;
use serde_json::Value;

use crate::coerce::{is_true, number};
use crate::webui::Call;

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
            hires: hires.then(|| size(&fields.hr_scale, HIRES_SCALE).powi(2)),
        }
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
