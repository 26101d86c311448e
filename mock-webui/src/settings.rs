//! The server's settings: known keys, values, and the leak of overrides (§9).

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::answer::Failure;

/// Every setting of 1.10.1 with its default.
static DEFAULTS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/options.json")).expect("the file is a JSON object")
});

/// The keys that the API silently leaves alone.
const RESTRICTED: [&str; 3] = [
    "api_enable_requests",
    "api_forbid_local_requests",
    "api_useragent",
];

/// The settings of one server.
///
/// `stored` holds the keys that the server has a value of its own for: those of its settings file, and
/// those set since. Only a stored key is restored after an override. On a server without a settings file
/// that makes the first override of any key last.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    stored: Map<String, Value>,
    /// What `config.json` holds, once there is one.
    saved: Option<Map<String, Value>>,
    frozen: bool,
}

/// What an override replaced, for putting it back.
#[derive(Debug, Default)]
pub(crate) struct Replaced(Vec<(String, Value)>);

impl Settings {
    /// `with_file`: the server starts with a complete `config.json`.
    pub(crate) fn new(with_file: bool, frozen: bool) -> Self {
        let saved = with_file.then(|| DEFAULTS.clone());
        Self {
            stored: saved.clone().unwrap_or_default(),
            saved,
            frozen,
        }
    }

    /// Every known key, as `GET options` shows it.
    pub(crate) fn all(&self) -> Map<String, Value> {
        DEFAULTS
            .iter()
            .map(|(key, default)| {
                let value = self
                    .stored
                    .get(key)
                    .map_or_else(|| default.clone(), |value| shown(default, value));
                (key.clone(), value)
            })
            .collect()
    }

    pub(crate) fn get(&self, key: &str) -> &Value {
        self.stored
            .get(key)
            .or_else(|| DEFAULTS.get(key))
            .unwrap_or(&Value::Null)
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).as_bool().unwrap_or(false)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_default()
    }

    /// A number as an integer, whichever way it was stored.
    #[expect(clippy::cast_possible_truncation, reason = "settings are small numbers")]
    pub(crate) fn integer(&self, key: &str) -> i64 {
        let value = self.get(key);
        value
            .as_i64()
            .or_else(|| value.as_f64().map(|float| float as i64))
            .unwrap_or_default()
    }

    /// Sets one key. An unknown one is a `KeyError` whose text is the quoted key.
    pub(crate) fn set(&mut self, key: &str, value: Value) -> Result<(), Failure> {
        if self.frozen {
            return Err(Failure::unexpected(
                "AssertionError",
                "changing settings is disabled",
            ));
        }
        if !DEFAULTS.contains_key(key) {
            return Err(Failure::unexpected("KeyError", format!("'{key}'")));
        }
        if !RESTRICTED.contains(&key) {
            self.stored.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// Sets a key on the server's own account, whatever clients may do.
    pub(crate) fn set_own(&mut self, key: &str, value: impl Into<Value>) {
        self.stored.insert(key.to_owned(), value.into());
    }

    /// Writes the settings file: all keys that are stored at this moment.
    pub(crate) fn save(&mut self) {
        self.saved = Some(self.stored.clone());
    }

    /// The settings after a restart: those of the file, on top of the fresh ones.
    pub(crate) fn forget_unsaved(&mut self, fresh: Self) {
        let saved = self.saved.take();
        *self = fresh;
        self.stored.extend(saved.clone().unwrap_or_default());
        self.saved = saved;
    }

    /// Applies the overrides of one request, up to the first unknown key, and tells what they replaced.
    pub(crate) fn replace(&mut self, overrides: &Map<String, Value>) -> (Replaced, Result<(), Failure>) {
        let mut replaced = Replaced::default();
        for (key, value) in overrides {
            let before = self.stored.get(key).cloned();
            if let Err(failure) = self.set(key, value.clone()) {
                return (replaced, Err(failure));
            }
            replaced.0.extend(before.map(|before| (key.clone(), before)));
        }
        (replaced, Ok(()))
    }

    /// Undoes [`replace`](Self::replace), as far as the server remembers.
    pub(crate) fn restore(&mut self, replaced: Replaced) {
        self.stored.extend(replaced.0);
    }
}

/// Numbers that were once set come back as floats (§9).
fn shown(default: &Value, value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if default.is_number() => Value::from(number),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLIP_SKIP: &str = "CLIP_stop_at_last_layers";

    fn override_once(settings: &mut Settings) {
        let overrides = json!({ CLIP_SKIP: 2 });
        let (replaced, applied) = settings.replace(overrides.as_object().expect("an object"));
        applied.expect("known key");
        assert_eq!(settings.integer(CLIP_SKIP), 2);
        settings.restore(replaced);
    }

    #[test]
    fn an_override_leaks_on_a_server_without_a_settings_file() {
        let mut settings = Settings::new(false, false);
        override_once(&mut settings);
        assert_eq!(settings.integer(CLIP_SKIP), 2);
        settings.set(CLIP_SKIP, json!(1)).expect("known key");
        override_once(&mut settings);
        assert_eq!(
            settings.integer(CLIP_SKIP),
            1,
            "a key that was set is restored from then on"
        );
    }

    #[test]
    fn an_override_is_undone_on_a_server_with_a_settings_file() {
        let mut settings = Settings::new(true, false);
        override_once(&mut settings);
        assert_eq!(settings.integer(CLIP_SKIP), 1);
    }

    #[test]
    fn unknown_keys_are_refused_and_restricted_ones_ignored() {
        let mut settings = Settings::new(false, false);
        let refused = settings.set("nope", json!(1)).expect_err("unknown");
        assert!(
            matches!(refused, Failure::Unexpected { class, text } if class == "KeyError" && text == "'nope'")
        );
        settings.set("api_useragent", json!("x")).expect("ignored");
        assert_eq!(settings.text("api_useragent"), "");
        assert!(Settings::new(false, true).set(CLIP_SKIP, json!(1)).is_err());
    }

    #[test]
    fn a_number_once_set_comes_back_as_a_float() {
        let mut settings = Settings::new(false, false);
        assert_eq!(settings.all()[CLIP_SKIP], json!(1));
        settings.set(CLIP_SKIP, json!(1)).expect("known key");
        assert_eq!(settings.all()[CLIP_SKIP], json!(1.0));
        assert_eq!(settings.all().len(), 312);
    }
}
