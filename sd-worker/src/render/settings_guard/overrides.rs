//! The settings that a request overrides.

use serde_json::{Map, Value};

use crate::coerce::is_true;
use crate::splice::{Object, may_have};
use crate::webui::Call;

/// The settings that a request overrides.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Overrides {
    pub(super) settings: Map<String, Value>,
    /// The request asks for them to stay.
    pub(super) are_to_stay: bool,
}

impl Overrides {
    /// Reads a request. Most have none, and some have megabytes of pictures.
    pub(super) fn of(call: &Call) -> Self {
        let text = call.body.as_ref().map_or("", |body| body.as_str());
        if !may_have(text, "override_settings") {
            return Self::default();
        }
        let Some(request) = Object::read(text) else {
            return Self::default();
        };
        let settings: Map<String, Value> = request.decode("override_settings").unwrap_or_default();
        let restore: Option<Value> = request.decode("override_settings_restore_afterwards");
        let are_to_stay = !settings.is_empty() && restore.is_some_and(|restore| !is_true(&restore));
        Self {
            settings,
            are_to_stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::*;

    fn of(text: &str) -> Overrides {
        Overrides::of(&Call::txt2img(RawJson::parse(text.to_owned()).unwrap()))
    }

    #[test]
    fn the_settings_of_a_request_are_found() {
        for none in [
            r#"{"prompt": "override_settings"}"#,
            r#"{"override_settings": null}"#,
            r#"{"override_settings": [1]}"#,
        ] {
            assert_eq!(of(none), Overrides::default(), "{none}");
        }
        for written in ["override_settings", r"override\u005fsettings"] {
            let found = of(&format!(r#"{{"{written}": {{"b": 1, "a": {{"x": 2}}}}}}"#));
            assert_eq!(found.settings.len(), 2);
        }
    }

    #[test]
    fn a_request_may_want_its_settings_to_stay() {
        let stays = |restore: &str| {
            of(&format!(
                r#"{{"override_settings": {{"a": 1}}, "override_settings_restore_afterwards": {restore}}}"#
            ))
            .are_to_stay
        };
        assert!(!stays("null") && !stays("\"yes\"") && !stays("true"));
        assert!(stays("false") && stays("0"));
    }
}
