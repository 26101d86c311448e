//! Keeps the settings that one job overrides from staying for the next (`docs/protocol/webui-api.md` §9).
//!
//! The WebUI restores an overridden setting only if it has a value of its own for it, from its settings file or because
//! it was set before. So the guard sets each setting to its current value once, before the first job that overrides it.
//! That holds for a job that ends early, too; comparing settings afterwards would not.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use runpod_sdk::json::RawJson;
use serde_json::{Map, Value};
use tracing::{debug, info, warn};

use crate::coerce::is_true;
use crate::splice::Object;
use crate::webui::{Call, OPTIONS, WebUi, WebUiError};

/// Sets overridden settings to their current values, once for each process of the WebUI.
#[derive(Debug, Default)]
pub(super) struct SettingsGuard {
    state: Mutex<Pinned>,
}

#[derive(Debug, Default)]
struct Pinned {
    generation: u64,
    /// The settings that need no further request.
    keys: BTreeSet<String>,
    /// Those among them that may stay all the same.
    loose: BTreeSet<String>,
}

impl SettingsGuard {
    /// Makes sure that the settings that `request` overrides are restored after it. Returns false if one may stay: the
    /// request wants that, or the WebUI refused.
    pub(super) async fn pin(&self, webui: &WebUi, request: &RawJson, generation: u64) -> bool {
        let keys = overridden(request);
        let new = self.unknown(keys.clone(), generation);
        if new.is_empty() {
            return keys.is_empty() || (self.restores(&keys, generation) && !is_to_stay(request));
        }
        let pinned = async {
            let mut options: Map<String, Value> = webui.list(OPTIONS).await?;
            let values: Map<String, Value> = new
                .iter()
                .filter_map(|key| Some((key.clone(), options.remove(key)?)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if !values.is_empty() {
                webui.set_options(&Value::Object(values.clone())).await?;
            }
            Ok::<_, WebUiError>(values)
        };
        let loose = match pinned.await {
            Ok(values) => {
                let keys: Vec<&String> = values.keys().collect();
                info!(?keys, "settings that this job overrides are restored after it");
                new.iter()
                    .filter(|key| !values.contains_key(*key))
                    .cloned()
                    .collect()
            }
            Err(error) if error.status().is_none() => {
                debug!(%error, "can't see to the settings; the job itself will tell what is wrong");
                return false;
            }
            Err(error) => {
                warn!(%error, keys = ?new, "settings that this job overrides may stay for the next");
                new.clone()
            }
        };
        let mut state = self.state.lock();
        if state.generation == generation {
            state.keys.extend(new);
            state.loose.extend(loose);
        }
        drop(state);
        self.restores(&keys, generation) && !is_to_stay(request)
    }

    /// Whether all of `keys` are known to be restored.
    fn restores(&self, keys: &BTreeSet<String>, generation: u64) -> bool {
        let state = self.state.lock();
        state.generation == generation && keys.is_disjoint(&state.loose)
    }

    /// Those of `keys` that have not been set in this process of the WebUI.
    fn unknown(&self, keys: BTreeSet<String>, generation: u64) -> BTreeSet<String> {
        let mut state = self.state.lock();
        if state.generation != generation {
            *state = Pinned {
                generation,
                ..Pinned::default()
            };
        }
        keys.into_iter().filter(|key| !state.keys.contains(key)).collect()
    }
}

/// Whether a call overrides settings, so that they may stay without a guard.
pub(super) fn may_stay(call: &Call) -> bool {
    call.body
        .as_ref()
        .is_some_and(|request| !overridden(request).is_empty())
}

/// Whether a request asks for its settings to stay.
fn is_to_stay(request: &RawJson) -> bool {
    const KEY: &str = "override_settings_restore_afterwards";
    let text = request.as_str();
    text.contains(KEY)
        && Object::read(text)
            .and_then(|request| request.decode(KEY))
            .is_some_and(|restore| !is_true(&restore))
}

/// The keys of `override_settings`.
fn overridden(request: &RawJson) -> BTreeSet<String> {
    // Most requests have none, and some have megabytes of pictures.
    if !request.as_str().contains("\"override_settings\"") {
        return BTreeSet::new();
    }
    Object::read(request.as_str())
        .and_then(|request| request.object("override_settings"))
        .map(|settings| settings.keys().map(str::to_owned).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_request_are_found() {
        let keys = |text: &str| {
            let keys = overridden(&RawJson::parse(text.to_owned()).unwrap());
            keys.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(r#"{"prompt": "override_settings"}"#), "");
        assert_eq!(keys(r#"{"override_settings": null}"#), "");
        assert_eq!(keys(r#"{"override_settings": [1]}"#), "");
        assert_eq!(keys(r#"{"override_settings": {"b": 1, "a": {"x": 2}}}"#), "a b");
    }

    #[test]
    fn a_request_may_want_its_settings_to_stay() {
        let stays = |text: &str| is_to_stay(&RawJson::parse(text.to_owned()).unwrap());
        for no in [
            "{}",
            r#"{"override_settings_restore_afterwards": null}"#,
            r#"{"override_settings_restore_afterwards": "yes"}"#,
            r#"{"prompt": "override_settings_restore_afterwards"}"#,
        ] {
            assert!(!stays(no), "{no}");
        }
        assert!(stays(r#"{"override_settings_restore_afterwards": false}"#));
        assert!(stays(r#"{"override_settings_restore_afterwards": 0}"#));
    }

    #[test]
    fn what_could_not_be_pinned_may_stay() {
        let guard = SettingsGuard::default();
        let keys = BTreeSet::from(["a".to_owned()]);
        guard.unknown(keys.clone(), 1);
        assert!(guard.restores(&keys, 1));
        assert!(!guard.restores(&keys, 2), "of another process nothing is known");
        guard.state.lock().loose.insert("a".to_owned());
        assert!(!guard.restores(&keys, 1));
        assert!(guard.restores(&BTreeSet::from(["b".to_owned()]), 1));
    }

    #[test]
    fn what_was_pinned_in_another_process_counts_no_more() {
        let guard = SettingsGuard::default();
        let keys = || BTreeSet::from(["a".to_owned()]);
        assert_eq!(guard.unknown(keys(), 1), keys());
        guard.state.lock().keys.insert("a".to_owned());
        assert!(guard.unknown(keys(), 1).is_empty());
        assert_eq!(guard.unknown(keys(), 2), keys());
    }
}
