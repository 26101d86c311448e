//! Whether an answer has the pictures that were asked for.
//!
//! SD.Next answers 200 without pictures when a render fails (`docs/protocol/webui-api.md` §12).

use runpod_sdk::json::RawJson;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::Call;
use super::error::WebUiError;
use super::progress::Progress;
use super::suspect;
use crate::coerce::is_true;
use crate::splice::Object;

/// How an answer with pictures begins. Such an answer, which is long, is not parsed.
const WITH_PICTURES: &str = "{\"images\":[\"";

impl Call {
    /// Fails if the answer of a render has no picture, unless the request wants none. `after` is the WebUI's state after
    /// the render.
    pub(crate) fn require_pictures(
        &self,
        answer: &RawJson,
        after: Option<&Progress>,
    ) -> Result<(), WebUiError> {
        if !self.job_kind.is_render() || has_pictures(answer.as_str()) || !self.wants_pictures() {
            return Ok(());
        }
        Err(WebUiError::NoPictures {
            state: after.map(Progress::said_of_the_end).unwrap_or_default(),
            mistakes: suspect::sides_below_zero(self),
        })
    }

    fn wants_pictures(&self) -> bool {
        const KEY: &str = "send_images";
        let body = self.body.as_ref().map(RawJson::as_str).unwrap_or_default();
        if !body.contains(KEY) {
            return true;
        }
        let value = Object::read(body).and_then(|request| request.get(KEY).map(RawValue::get));
        value.is_none_or(|value| serde_json::from_str::<Value>(value).is_ok_and(|value| is_true(&value)))
    }
}

fn has_pictures(answer: &str) -> bool {
    if answer.starts_with(WITH_PICTURES) {
        return true;
    }
    let images = Object::read(answer).and_then(|answer| answer.get("images"));
    let images = images.map(|images| serde_json::from_str::<Vec<&RawValue>>(images.get()));
    // Without the key, or with another value, it is not the answer of a WebUI; who reads it judges it.
    !matches!(images, Some(Ok(images)) if images.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(request: &'static str, answer: &'static str) -> bool {
        let call = Call::txt2img(RawJson::parse(request).unwrap());
        call.require_pictures(&RawJson::parse(answer).unwrap(), None)
            .is_err()
    }

    #[test]
    fn an_empty_answer_is_an_error_unless_no_pictures_are_wanted() {
        for empty in [r#"{"images":[],"info":""}"#, r#"{"info": "{}", "images": [ ]}"#] {
            assert!(lacks("{}", empty));
            assert!(lacks(r#"{"send_images": true}"#, empty));
            assert!(lacks(r#"{"prompt": "send_images"}"#, empty));
            for none in ["false", "0", "\"off\"", "null"] {
                let request: &'static str = format!(r#"{{"send_images": {none}}}"#).leak();
                assert!(!lacks(request, empty), "{none}");
            }
        }
        assert!(!lacks("{}", r#"{"images":["aGk="]}"#));
        assert!(!lacks("{}", r#"{"info": "", "images": ["aGk="]}"#));
    }

    #[test]
    fn a_side_below_zero_explains_an_empty_answer() {
        let call = Call::txt2img(RawJson::parse(r#"{"width": -8}"#).unwrap());
        let error = call.require_pictures(&RawJson::parse(r#"{"images":[]}"#).unwrap(), None);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("width: must be at least 8"), "{text}");
    }
}
