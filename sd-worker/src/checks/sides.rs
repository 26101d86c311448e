//! Checks the sides of a picture. The WebUI cuts them to a multiple of 8 and reports them as asked for
//! (`docs/protocol/webui-api.md` §3).

use super::answer_pictures::is_put_back;
use super::finding::Finding;
use super::numbers::{self, shown};
use crate::coerce::is_true;
use crate::splice::Object;
use crate::webui::Call;

const STEP: f64 = 8.0;

/// Findings for sides that are cut.
pub(super) fn cut(call: &Call, request: &Object<'_>) -> Vec<Finding> {
    let script: String = request.decode("script_name").unwrap_or_default();
    // A script may make pictures of another size, and a masked part is put back into its picture.
    if !call.job_kind.is_render() || !script.is_empty() || is_put_back(request) {
        return Vec::new();
    }
    let hires = request.decode("enable_hr").is_some_and(|hires| is_true(&hires));
    // The second pass makes a size of its own.
    if hires {
        return Vec::new();
    }
    let mut found = Vec::new();
    for field in ["width", "height"] {
        let Some(asked) = numbers::asked(request, field).map(f64::trunc) else {
            continue;
        };
        let got = (asked / STEP).floor() * STEP;
        // A smaller side is an error, which the WebUI itself reports.
        if asked > STEP && asked - got > 0.5 {
            found.push(Finding::cut(field, shown(asked), shown(got)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::*;

    fn found(request: &str) -> Vec<String> {
        let call = Call::txt2img(RawJson::parse(request.to_owned()).unwrap());
        let found = cut(&call, &Object::read(request).unwrap());
        found.iter().map(|finding| finding.field().to_owned()).collect()
    }

    #[test]
    fn a_side_that_is_no_multiple_of_8_is_cut() {
        assert_eq!(found(r#"{"width": 65, "height": "70"}"#), ["width", "height"]);
        assert_eq!(
            found(r#"{"width": 64, "height": 64.9}"#),
            [""; 0],
            "it is read as a whole number"
        );
        assert_eq!(found(r#"{"width": 5}"#), [""; 0], "the WebUI refuses it");
        assert_eq!(found(r#"{"width": 65, "script_name": "sd upscale"}"#), [""; 0]);
        assert_eq!(found(r#"{"width": 65, "enable_hr": true}"#), [""; 0]);
        assert_eq!(found(r#"{"width": 65, "mask": "aGk="}"#), [""; 0]);
    }
}
