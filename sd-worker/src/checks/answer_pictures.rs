//! The pictures of an answer: how many there are, and their size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::finding::Finding;
use super::numbers::shown;
use super::reported::ReportedParameters;
use crate::coerce::is_true;
use crate::picture::PictureKind;
use crate::splice::Object;

/// Whether the render is a masked part of the request's picture and is put back into it. The answer has the size of that
/// picture then.
pub(super) fn is_put_back(request: &Object<'_>) -> bool {
    let masked = request
        .decode::<String>("mask")
        .is_some_and(|mask| !mask.is_empty());
    let only_masked = request.decode::<Value>("inpaint_full_res");
    masked && only_masked.is_none_or(|only| is_true(&only))
}

/// The pictures of the answer, grids included; `None` if the request wants none.
pub(super) fn sent<'a>(request: &Object<'_>, answer: &Object<'a>) -> Option<Vec<&'a RawValue>> {
    if request.decode::<bool>("send_images") == Some(false) {
        return None;
    }
    serde_json::from_str(answer.get("images")?.get()).ok()
}

/// A finding if there are fewer pictures without grids than the `asked` ones. More are the doing of a script, a unit or a
/// setting, and no fault.
pub(super) fn fewer(
    asked: f64,
    images: usize,
    reported: &ReportedParameters,
    field: &str,
) -> Option<Finding> {
    let got = images.saturating_sub(reported.grids());
    #[expect(clippy::cast_precision_loss, reason = "a few pictures")]
    let is_less = (got as f64) < asked - 0.5;
    is_less.then(|| Finding::other(field, shown(asked), got))
}

/// Width and height of the first picture.
pub(super) fn size(images: &[&RawValue], reported: &ReportedParameters) -> Option<(u32, u32)> {
    png_size(images.get(reported.grids())?.get())
}

/// Width and height stand in a PNG's first 24 bytes.
fn png_size(image: &str) -> Option<(u32, u32)> {
    let start = STANDARD.decode(image.get(1..33)?).ok()?;
    PictureKind::of(&start)?.size(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_part_comes_back_inside_its_picture() {
        let put_back = |request: &str| is_put_back(&Object::read(request).unwrap());
        assert!(put_back(r#"{"mask": "aGk="}"#), "the default");
        assert!(put_back(r#"{"mask": "aGk=", "inpaint_full_res": 1}"#));
        assert!(!put_back(r#"{"mask": "aGk=", "inpaint_full_res": false}"#));
        assert!(!put_back(r#"{"mask": null}"#));
        assert!(!put_back(r#"{"inpaint_full_res": true}"#));
    }

    #[test]
    fn the_size_of_a_png_is_read() {
        let png = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");
        let quoted = format!("\"{}\"", STANDARD.encode(png));
        assert_eq!(png_size(&quoted), Some((64, 64)));
        assert_eq!(png_size("\"aGk=\""), None);
    }
}
