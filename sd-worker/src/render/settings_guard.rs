//! Keeps the settings that one job overrides from staying for the next (`docs/protocol/webui-api.md` §9).
//!
//! The WebUI restores an overridden setting only if it has a value of its own for it, from its settings file or because
//! it was set before. So the guard sets each setting to its current value once, before the first job that overrides it.
//! That is not enough everywhere: Forge takes an empty list of modules for unchanged and stores nothing. So the guard
//! reads the settings again after the render, sets back what has stayed, and trusts a setting only when it was seen to be
//! restored.

mod overrides;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tracing::{debug, info, warn};

use self::overrides::Overrides;
use self::values::same;
use crate::webui::{Call, OPTIONS, WebUi, WebUiError};

/// How long settings that could not be read are not asked for again. A slow failure would delay every job.
const FAILURE_KEPT: Duration = Duration::from_mins(1);
/// A failure that took no longer than this delays nothing, and is not kept.
const SLOW: Duration = Duration::from_secs(1);

/// Whether the settings that a job overrides are restored after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restoration {
    /// They have been seen to be, or there are none.
    Proven,
    /// They should be. [`SettingsGuard::settle`] shows it after the render.
    Unproven,
    /// They may stay: the request wants that, or the WebUI refused.
    Doubtful,
}

/// Sets overridden settings to their current values, once for each process of the WebUI, and sees that they are
/// restored.
#[derive(Debug, Default)]
pub(super) struct SettingsGuard {
    state: Mutex<GuardState>,
}

#[derive(Debug, Default)]
struct GuardState {
    /// The number of the WebUI's process. Of another one nothing is known.
    generation: u64,
    /// The settings that were set to their own values, with those.
    pinned: BTreeMap<String, Value>,
    /// Those that were seen to be restored.
    proven: BTreeSet<String>,
    /// Those that were seen to stay, or could not be set.
    doubtful: BTreeSet<String>,
    /// Those of a render that has not been settled.
    pending: BTreeMap<String, Pending>,
    /// When reading the settings last failed after a long time.
    failed_at: Option<Instant>,
}

/// An overridden setting that is not seen to be restored yet.
#[derive(Debug, Clone)]
struct Pending {
    /// Null for a setting that is not listed.
    before: Value,
    asked: Value,
}

impl SettingsGuard {
    /// Makes sure that the settings that `call` overrides are restored after it.
    pub(super) async fn pin(&self, webui: &WebUi, call: &Call, generation: u64) -> Restoration {
        self.enter(generation);
        if !self.settle(webui, generation).await {
            return Restoration::Doubtful;
        }
        if call.route.split('?').next() == Some(OPTIONS) {
            // It sets other values.
            self.state.lock().pinned.clear();
        }
        let Overrides {
            settings,
            are_to_stay,
        } = Overrides::of(call);
        if are_to_stay {
            let mut state = self.state.lock();
            state.pinned.retain(|key, _| !settings.contains_key(key));
            return Restoration::Doubtful;
        }
        let open = self.open(&settings);
        if open.is_empty() {
            return self.verdict(&settings, Restoration::Proven);
        }
        if self.has_failed(Instant::now()) {
            return Restoration::Doubtful;
        }
        match self.pin_open(webui, &open).await {
            Ok(()) => self.verdict(&settings, Restoration::Unproven),
            Err(error) if error.status().is_none() => {
                debug!(%error, "can't see to the settings; the job itself will tell what is wrong");
                Restoration::Doubtful
            }
            Err(error) => {
                let keys: Vec<String> = open.keys().cloned().collect();
                warn!(%error, ?keys, "settings that this job overrides may stay for the next");
                self.state.lock().doubtful.extend(keys);
                Restoration::Doubtful
            }
        }
    }

    /// Reads the settings again after a render, and sets back what has stayed. Returns whether all are as before.
    pub(super) async fn settle(&self, webui: &WebUi, generation: u64) -> bool {
        let pending = {
            let state = self.state.lock();
            if state.generation != generation {
                return false;
            }
            state.pending.clone()
        };
        if pending.is_empty() {
            return true;
        }
        if self.has_failed(Instant::now()) {
            return false;
        }
        match self.read_back(webui, &pending).await {
            Ok(restored) => {
                self.state.lock().pending.clear();
                restored
            }
            Err(error) => {
                warn!(%error, "can't see whether the settings of a job are restored");
                false
            }
        }
    }

    /// Reads all settings, and notes a failure that took long.
    async fn read(&self, webui: &WebUi) -> Result<Map<String, Value>, WebUiError> {
        let began = Instant::now();
        let read = webui.list(OPTIONS).await;
        let failed_at = read.as_ref().err().map(|_| Instant::now());
        let is_slow = |failed: &Instant| failed.duration_since(began) > SLOW;
        let failed_at = failed_at.filter(is_slow);
        if failed_at.is_some() {
            warn!(
                "settings that jobs override may stay for a while: the WebUI does not list its settings in time"
            );
        }
        self.state.lock().failed_at = failed_at;
        read
    }

    /// Whether reading the settings has failed lately, after a long time.
    fn has_failed(&self, now: Instant) -> bool {
        let failed_at = self.state.lock().failed_at;
        failed_at.is_some_and(|failed| now.duration_since(failed) < FAILURE_KEPT)
    }

    async fn read_back(
        &self,
        webui: &WebUi,
        pending: &BTreeMap<String, Pending>,
    ) -> Result<bool, WebUiError> {
        let now: Map<String, Value> = self.read(webui).await?;
        let mut stayed = BTreeMap::new();
        for (key, setting) in pending {
            let current = now.get(key).unwrap_or(&Value::Null);
            if same(current, &setting.before) {
                if !same(&setting.asked, &setting.before) {
                    self.state.lock().proven.insert(key.clone());
                }
            } else if !setting.before.is_null() || same(current, &setting.asked) {
                stayed.insert(key.clone(), setting.clone());
            }
        }
        if stayed.is_empty() {
            return Ok(true);
        }
        let back: Map<String, Value> = stayed
            .iter()
            .filter(|(_, setting)| !setting.before.is_null())
            .map(|(key, setting)| (key.clone(), setting.before.clone()))
            .collect();
        if !back.is_empty() {
            webui.set_options(&Value::Object(back)).await?;
        }
        let now: Map<String, Value> = self.read(webui).await?;
        stayed.retain(|key, setting| !same(now.get(key).unwrap_or(&Value::Null), &setting.before));
        if stayed.is_empty() {
            info!("settings that a job overrode had stayed, and are set back");
            return Ok(true);
        }
        let keys: Vec<String> = stayed.into_keys().collect();
        warn!(
            ?keys,
            "settings that a job overrode have stayed, and cannot be set back"
        );
        self.state.lock().doubtful.extend(keys);
        Ok(false)
    }

    /// Sets those of the settings that have not been set to their current values, and notes all of them as pending.
    async fn pin_open(&self, webui: &WebUi, open: &Map<String, Value>) -> Result<(), WebUiError> {
        let options: Map<String, Value> = self.read(webui).await?;
        let value_of = |key: &String| options.get(key).cloned().unwrap_or(Value::Null);
        let new: Map<String, Value> = {
            let state = self.state.lock();
            let new = open.keys().filter(|key| !state.pinned.contains_key(*key));
            let new = new.map(|key| (key.clone(), value_of(key)));
            new.filter(|(_, value)| !value.is_null()).collect()
        };
        if !new.is_empty() {
            webui.set_options(&Value::Object(new.clone())).await?;
            let keys: Vec<&String> = new.keys().collect();
            debug!(
                ?keys,
                "settings that this job overrides have values of their own now"
            );
        }
        let mut state = self.state.lock();
        for (key, asked) in open {
            let before = value_of(key);
            state.pinned.insert(key.clone(), before.clone());
            let asked = asked.clone();
            state.pending.insert(key.clone(), Pending { before, asked });
        }
        Ok(())
    }

    /// The settings that are not known to be restored. One that is overridden by its own value cannot stay.
    fn open(&self, settings: &Map<String, Value>) -> Map<String, Value> {
        let state = self.state.lock();
        let is_open = |key: &str, asked: &Value| {
            let is_own_value = state.pinned.get(key).is_some_and(|own| same(own, asked));
            !state.proven.contains(key) && !state.doubtful.contains(key) && !is_own_value
        };
        settings
            .iter()
            .filter(|(key, asked)| is_open(key, asked))
            .map(|(key, asked)| (key.clone(), asked.clone()))
            .collect()
    }

    fn verdict(&self, settings: &Map<String, Value>, otherwise: Restoration) -> Restoration {
        let state = self.state.lock();
        if settings.keys().any(|key| state.doubtful.contains(key)) {
            Restoration::Doubtful
        } else {
            otherwise
        }
    }

    /// Forgets what is known of another process.
    fn enter(&self, generation: u64) {
        let mut state = self.state.lock();
        if state.generation != generation {
            *state = GuardState {
                generation,
                ..GuardState::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(text: &Value) -> Map<String, Value> {
        text.as_object().unwrap().clone()
    }

    #[test]
    fn a_setting_is_open_until_it_is_proven_or_has_its_own_value() {
        let guard = SettingsGuard::default();
        let asked = settings(&json!({ "a": 2 }));
        guard.enter(1);
        assert_eq!(guard.open(&asked), asked);
        guard.state.lock().pinned.insert("a".to_owned(), json!(1));
        assert_eq!(guard.open(&asked), asked, "set, and not seen to be restored");
        assert!(
            guard.open(&settings(&json!({ "a": 1.0 }))).is_empty(),
            "its own value"
        );
        guard.state.lock().proven.insert("a".to_owned());
        assert!(guard.open(&asked).is_empty());
        guard.enter(2);
        assert_eq!(guard.open(&asked), asked, "of another process nothing is known");
    }

    #[test]
    fn a_slow_failure_is_kept_for_a_minute() {
        let guard = SettingsGuard::default();
        guard.enter(1);
        let failed = Instant::now();
        assert!(!guard.has_failed(failed));
        guard.state.lock().failed_at = Some(failed);
        assert!(guard.has_failed(failed + Duration::from_secs(59)));
        assert!(!guard.has_failed(failed + FAILURE_KEPT));
        guard.enter(2);
        assert!(!guard.has_failed(failed), "another process may be faster");
    }

    #[test]
    fn what_was_seen_to_stay_is_doubtful() {
        let guard = SettingsGuard::default();
        guard.enter(1);
        guard.state.lock().doubtful.insert("a".to_owned());
        let verdict = |text: Value| guard.verdict(&settings(&text), Restoration::Proven);
        assert_eq!(verdict(json!({ "a": 1, "b": 1 })), Restoration::Doubtful);
        assert_eq!(verdict(json!({ "b": 1 })), Restoration::Proven);
        assert!(
            guard.open(&settings(&json!({ "a": 1 }))).is_empty(),
            "it is not tried again"
        );
    }
}
