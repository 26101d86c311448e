//! Checks the second pass and the refiner. The WebUI silently drops both in several cases, such as a scale of 1 or a
//! refiner that begins after the last step.

use serde_json::Value;

use super::answer_pictures;
use super::finding::Finding;
use super::list::List;
use super::lookups::Lookups;
use super::numbers::{self, same, shown};
use super::reported::ReportedParameters;
use crate::splice::Object;

/// The WebUI's defaults.
const SIDE: f64 = 512.0;
const SCALE: f64 = 2.0;
/// A side is cut to a multiple of 8.
const CUT: f64 = 8.0;

pub(super) async fn differences(
    request: &Object<'_>,
    answer: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if request.decode::<bool>("enable_hr") == Some(true) {
        found.extend(hires(request, answer, reported, lookups).await);
    }
    found.extend(checkpoint(request, reported, lookups, ("refiner_checkpoint", "Refiner")).await);
    if reported.is_of_sd_next() {
        // It does not report what these are compared with, or in another form.
        found.retain(|finding| !finding.is_of_nothing());
    }
    found
}

async fn hires(
    request: &Object<'_>,
    answer: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
) -> Vec<Finding> {
    // The upscaler is shown only if the request names one.
    let passed = ["Hires upscale", "Hires resize"]
        .iter()
        .any(|entry| reported.parameter(entry).is_some());
    let upscaler = match reported.parameter("Hires upscaler") {
        Some(upscaler) => upscaler,
        None if passed => "Latent".into(),
        None => return vec![Finding::other("enable_hr", true, Value::Null)],
    };
    let mut found = Vec::new();
    if let Some(asked) = name(request, "hr_upscaler")
        && asked != upscaler
    {
        found.push(Finding::other("hr_upscaler", asked, upscaler));
    }
    if let Some(asked) = numbers::asked(request, "hr_second_pass_steps").filter(|steps| *steps >= 1.0) {
        let got = reported
            .parameter("Hires steps")
            .and_then(|steps| steps.parse::<f64>().ok());
        if !got.is_some_and(|got| same(got, asked.trunc())) {
            let got = got.map_or(Value::Null, shown);
            found.push(Finding::other("hr_second_pass_steps", shown(asked), got));
        }
    }
    // The answer reports them only where they differ from those of the first pass.
    for (field, entry) in [
        ("hr_sampler_name", "Hires sampler"),
        ("hr_scheduler", "Hires schedule type"),
    ] {
        if let (Some(asked), Some(got)) = (name(request, field), reported.parameter(entry))
            && !asked.eq_ignore_ascii_case(&got)
            && !lookups.is_same_schedule(&asked, &got).await
        {
            found.push(Finding::other(field, asked, got));
        }
    }
    found.extend(
        checkpoint(
            request,
            reported,
            lookups,
            ("hr_checkpoint_name", "Hires checkpoint"),
        )
        .await,
    );
    found.extend(size(request, answer, reported));
    found
}

/// A name of the request that does not mean "as in the first pass".
fn name(request: &Object<'_>, field: &str) -> Option<String> {
    let name: String = request.decode(field)?;
    let special = name.is_empty() || name == "None" || name.starts_with("Use same ");
    (!special).then_some(name)
}

async fn checkpoint(
    request: &Object<'_>,
    reported: &ReportedParameters,
    lookups: &Lookups<'_>,
    (field, entry): (&str, &str),
) -> Option<Finding> {
    let asked = name(request, field)?;
    let Some(got) = reported.parameter(entry) else {
        return Some(Finding::other(field, asked, Value::Null));
    };
    let known = lookups.find(List::Checkpoints, &asked).await?;
    let file = got.rsplit_once(" [").map_or(got.as_str(), |(file, _)| file);
    (!known.is_checkpoint(file)).then(|| Finding::other(field, asked, got.as_str()))
}

/// A finding if the pictures have another size than the second pass should give.
fn size(request: &Object<'_>, answer: &Object<'_>, reported: &ReportedParameters) -> Option<Finding> {
    let (field, (width, height)) = target(request)?;
    let images = answer_pictures::sent(request, answer)?;
    let got = answer_pictures::size(&images, reported)?;
    let fits = |got: u32, asked: f64| (f64::from(got) - asked).abs() < CUT;
    (!fits(got.0, width) || !fits(got.1, height)).then(|| {
        let shown = |(width, height): (f64, f64)| format!("{width:.0}x{height:.0}");
        let got = (f64::from(got.0), f64::from(got.1));
        Finding::other(field, shown((width, height)), shown(got))
    })
}

/// The size that is asked for, and its field. `None` with the old fields for the first pass, of which versions make
/// different sizes.
fn target(request: &Object<'_>) -> Option<(&'static str, (f64, f64))> {
    let side = |field| {
        numbers::asked(request, field)
            .map(f64::trunc)
            .filter(|side| *side >= 1.0)
    };
    if side("firstphase_width").or(side("firstphase_height")).is_some() {
        return None;
    }
    let width = side("width").unwrap_or(SIDE);
    let height = side("height").unwrap_or(SIDE);
    Some(match (side("hr_resize_x"), side("hr_resize_y")) {
        (None, None) => {
            let scale = numbers::asked(request, "hr_scale").unwrap_or(SCALE);
            ("hr_scale", ((width * scale).trunc(), (height * scale).trunc()))
        }
        (Some(x), None) => ("hr_resize_x", (x, (height * x / width).trunc())),
        (None, Some(y)) => ("hr_resize_y", ((width * y / height).trunc(), y)),
        (Some(x), Some(y)) => ("hr_resize_x", (x, y)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_pass_has_a_size_by_scale_by_one_side_or_by_both() {
        for (request, field, size) in [
            (r#"{"width": 64, "height": 96}"#, "hr_scale", (128.0, 192.0)),
            (
                r#"{"width": 64, "height": 96, "hr_scale": "1.5"}"#,
                "hr_scale",
                (96.0, 144.0),
            ),
            (
                r#"{"width": 64, "height": 96, "hr_resize_x": 128}"#,
                "hr_resize_x",
                (128.0, 192.0),
            ),
            (
                r#"{"width": 64, "height": 96, "hr_resize_y": 96}"#,
                "hr_resize_y",
                (64.0, 96.0),
            ),
            (
                r#"{"hr_resize_x": 640, "hr_resize_y": 768}"#,
                "hr_resize_x",
                (640.0, 768.0),
            ),
        ] {
            assert_eq!(
                target(&Object::read(request).unwrap()),
                Some((field, size)),
                "{request}"
            );
        }
    }
}
