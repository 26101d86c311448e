//! The server's settings: known keys, values, and the leak of overrides (§9).

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::answer::Failure;
use crate::profile::Profile;

type Defaults = Map<String, Value>;

fn parsed(file: &str) -> Defaults {
    serde_json::from_str(file).expect("the file is a JSON object")
}

/// Every setting of 1.10.1 with its default.
static OF_1_10: LazyLock<Defaults> = LazyLock::new(|| parsed(include_str!("../data/options.json")));

/// Settings that came with 1.10.
const NEW_IN_1_10: [&str; 16] = [
    "beta_dist_alpha",
    "beta_dist_beta",
    "lora_bundled_ti_to_infotext",
    "prevent_screen_sleep_during_generation",
    "profiling_activities",
    "profiling_enable",
    "profiling_explanation",
    "profiling_filename",
    "profiling_profile_memory",
    "profiling_record_shapes",
    "profiling_with_stack",
    "s_min_uncond_all",
    "save_write_log_csv",
    "sd3_enable_t5",
    "sdxl_clip_l_skip",
    "skip_early_cond",
];

static BEFORE_1_10: LazyLock<Defaults> = LazyLock::new(|| {
    let mut defaults = OF_1_10.clone();
    defaults.retain(|key, _| !NEW_IN_1_10.contains(&key.as_str()));
    defaults
});

/// The setting of Forge that names text encoders and the VAE.
const MODULES: &str = "forge_additional_modules";

/// Forge has settings of its own beside those of 1.10.
static OF_FORGE: LazyLock<Defaults> = LazyLock::new(|| {
    let mut defaults = OF_1_10.clone();
    for (key, default) in [
        ("forge_unet_storage_dtype", json!("Automatic")),
        ("forge_inference_memory", json!(1024)),
        ("forge_async_loading", json!("Queue")),
        ("forge_pin_shared_memory", json!("CPU")),
        ("forge_preset", json!("sd")),
        (MODULES, json!([])),
    ] {
        defaults.insert(key.to_owned(), default);
    }
    defaults
});

/// The settings that SD.Next shows before any is set.
static SHOWN_BY_SD_NEXT: LazyLock<Defaults> =
    LazyLock::new(|| parsed(include_str!("../data/sd-next/options.json")));

/// Those, and the ones that the mock reads without showing them.
static OF_SD_NEXT: LazyLock<Defaults> = LazyLock::new(|| {
    let mut defaults = OF_1_10.clone();
    defaults.insert("samples_format".to_owned(), json!("jpg"));
    defaults.extend(SHOWN_BY_SD_NEXT.clone());
    defaults
});

fn defaults(profile: Profile) -> &'static Defaults {
    match profile {
        Profile::V1_6 | Profile::V1_8 | Profile::V1_9_3 => &BEFORE_1_10,
        Profile::V1_10_1 => &OF_1_10,
        Profile::SdNext => &OF_SD_NEXT,
        Profile::Forge2024 | Profile::Forge => &OF_FORGE,
    }
}

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
    profile: Profile,
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
    pub(crate) fn new(profile: Profile, with_file: bool, frozen: bool) -> Self {
        let saved = with_file.then(|| defaults(profile).clone());
        Self {
            profile,
            stored: saved.clone().unwrap_or_default(),
            saved,
            frozen,
        }
    }

    /// What `GET options` shows: every known key; of SD.Next only those that have a value of their own.
    pub(crate) fn all(&self) -> Map<String, Value> {
        if self.profile.is_sd_next() {
            let mut all = SHOWN_BY_SD_NEXT.clone();
            all.extend(self.stored.clone());
            return all;
        }
        defaults(self.profile)
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
            .or_else(|| defaults(self.profile).get(key))
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
        if !defaults(self.profile).contains_key(key) && !self.profile.is_sd_next() {
            return Err(Failure::unexpected("KeyError", format!("'{key}'")));
        }
        // Forge takes the modules in use for unchanged, and stores nothing.
        if key == MODULES && self.profile.is_forge() && *self.get(key) == value {
            return Ok(());
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
            // SD.Next puts back what was in force, the default too.
            let before = match self.stored.get(key) {
                None if self.profile.is_sd_next() => Some(self.get(key).clone()),
                before => before.cloned(),
            };
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
        let mut settings = Settings::new(Profile::V1_10_1, false, false);
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
        let mut settings = Settings::new(Profile::V1_10_1, true, false);
        override_once(&mut settings);
        assert_eq!(settings.integer(CLIP_SKIP), 1);
    }

    #[test]
    fn unknown_keys_are_refused_and_restricted_ones_ignored() {
        let mut settings = Settings::new(Profile::V1_10_1, false, false);
        let refused = settings.set("nope", json!(1)).expect_err("unknown");
        assert!(
            matches!(refused, Failure::Unexpected { class, text } if class == "KeyError" && text == "'nope'")
        );
        settings.set("api_useragent", json!("x")).expect("ignored");
        assert_eq!(settings.text("api_useragent"), "");
        assert!(
            Settings::new(Profile::V1_10_1, false, true)
                .set(CLIP_SKIP, json!(1))
                .is_err()
        );
    }

    #[test]
    fn forge_takes_an_empty_list_of_modules_for_unchanged_until_it_had_a_real_one() {
        let mut settings = Settings::new(Profile::Forge, false, false);
        let overrides = json!({ MODULES: ["clip_l.safetensors"] });
        let overrides = overrides.as_object().expect("an object");
        settings.set(MODULES, json!([])).expect("known key");
        let (replaced, _) = settings.replace(overrides);
        settings.restore(replaced);
        assert_eq!(*settings.get(MODULES), json!(["clip_l.safetensors"]), "it leaks");
        settings.set(MODULES, json!([])).expect("known key");
        let (replaced, _) = settings.replace(overrides);
        settings.restore(replaced);
        assert_eq!(*settings.get(MODULES), json!([]));
    }

    #[test]
    fn each_version_has_its_own_settings() {
        let count = |profile| Settings::new(profile, false, false).all().len();
        assert_eq!(count(Profile::V1_10_1), 312);
        assert_eq!(count(Profile::V1_9_3), 312 - NEW_IN_1_10.len());
        assert_eq!(count(Profile::SdNext), 32);
        let mut old = Settings::new(Profile::V1_9_3, false, false);
        assert!(old.set("sd3_enable_t5", json!(true)).is_err());
    }

    #[test]
    fn a_number_once_set_comes_back_as_a_float() {
        let mut settings = Settings::new(Profile::V1_10_1, false, false);
        assert_eq!(settings.all()[CLIP_SKIP], json!(1));
        settings.set(CLIP_SKIP, json!(1)).expect("known key");
        assert_eq!(settings.all()[CLIP_SKIP], json!(1.0));
        assert_eq!(settings.all().len(), 312);
    }
}
