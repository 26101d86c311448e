//! The settings of the server that jobs may not set, and those that they do not see.
//!
//! `POST options` stays for all later jobs, and `override_settings` does where the server has no settings file. A job that
//! says where the server writes could fill the worker's volume or overwrite other jobs' pictures. Settings of extensions
//! may hold keys of other services.

use reqwest::Method;
use runpod_sdk::json::RawJson;
use serde_json::value::RawValue;

use super::error::RequestError;
use super::routes::is_usual;
use crate::settings::{fits, split_query};
use crate::splice::{Object, may_have, quoted};
use crate::webui::{Call, OPTIONS};

/// Settings that say where the server writes, or under which name: folders, patterns of file names, temporary folders and
/// logs. `*` stands for any text. Names of models and modules are none of them.
const PATHS: [&str; 11] = [
    "outdir*",
    "*_outdir",
    "directories_*",
    "*_pattern",
    "*_dir",
    "*_directory",
    "*_folder",
    "*_path",
    "*_file",
    "*_filename",
    "*logdir",
];
/// A list of extensions with the addresses that they were installed from.
const EXTENSIONS: &str = "/sdapi/v1/extensions";
const OVERRIDES: &str = "override_settings";
/// The most characters of a key in a message.
const LONGEST_KEY: usize = 60;

/// The settings of [`PATHS`] that the worker's owner allows jobs to set.
#[derive(Debug, Clone, Default)]
pub(super) struct AllowedSettings(Vec<String>);

impl AllowedSettings {
    /// Each is a name, or the beginning of one with `*` at its end.
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.to_vec())
    }

    /// Fails if a request with this body sets what it may not, or cannot be read as the server reads it. `place` is where
    /// the body stands in the input; empty for the input itself.
    pub(super) fn check(&self, route: &str, body: &str, place: &str) -> Result<(), RequestError> {
        let (path, _) = split_query(route);
        let Some(object) = Object::read(body) else {
            return match body.trim_start().as_bytes().first() {
                Some(b'{') => Err(form(place, "", "it has a key that is no text")),
                // The server would read a list of pairs as an object.
                _ if is_usual(path) => {
                    Err(form(place, "", "expected an object with the fields of the route"))
                }
                _ => Ok(()),
            };
        };
        if path == OPTIONS {
            return self.check_keys(&object, place);
        }
        if !may_have(body, OVERRIDES) {
            return Ok(());
        }
        // The last one counts, but another server may read it otherwise.
        for (_, value) in object.iter().filter(|(key, _)| *key == OVERRIDES) {
            match Object::read(value.get()) {
                Some(settings) => self.check_keys(&settings, &joined(place, OVERRIDES))?,
                None if is_nothing(value) => {}
                None => return Err(form(place, OVERRIDES, "expected an object of settings")),
            }
        }
        Ok(())
    }

    fn check_keys(&self, settings: &Object<'_>, place: &str) -> Result<(), RequestError> {
        let is_refused = |key: &&str| is_path(key) && !self.0.iter().any(|allowed| fits(allowed, key));
        match settings.keys().find(is_refused) {
            Some(key) => Err(RequestError::Setting {
                path: joined(place, &key.chars().take(LONGEST_KEY).collect::<String>()),
            }),
            None => Ok(()),
        }
    }
}

/// Whether a setting says where the server writes, or under which name.
fn is_path(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    PATHS.iter().any(|pattern| match pattern.strip_prefix('*') {
        Some(end) => key.ends_with(end),
        None => fits(pattern, &key),
    })
}

/// `null` or an empty list, which the server reads as no settings.
fn is_nothing(value: &RawValue) -> bool {
    let text = value.get();
    text == "null" || serde_json::from_str::<[(); 0]>(text).is_ok()
}

/// An answer as the job gets it: a list of settings has none whose name says that it is a key or a token, and a list of
/// extensions no credentials in its addresses. Any other answer is passed on as it came.
pub(crate) fn without_secrets(call: &Call, answer: RawJson) -> RawJson {
    if call.method != Method::GET {
        return answer;
    }
    let cleaned = match split_query(&call.route).0 {
        OPTIONS => without_secret_settings(&answer),
        EXTENSIONS => match runpod_sdk::redact::redacted(answer.as_str()) {
            std::borrow::Cow::Owned(text) => Some(text),
            std::borrow::Cow::Borrowed(_) => None,
        },
        _ => None,
    };
    match cleaned {
        Some(text) => RawJson::parse(text).unwrap_or_else(|_| RawJson::from(serde_json::Value::Null)),
        None => answer,
    }
}

/// The settings without secrets; `None` if there are none in it. They are left out, so that a client that sends all
/// settings back does not overwrite them.
fn without_secret_settings(answer: &RawJson) -> Option<String> {
    let settings = Object::read(answer.as_str())?;
    let is_secret = |key: &str, value: &RawValue| {
        value.get().starts_with('"') && value.get() != "\"\"" && runpod_child::is_secret_name(key)
    };
    if !settings.iter().any(|(key, value)| is_secret(key, value)) {
        return None;
    }
    let kept = settings.iter().filter(|(key, value)| !is_secret(key, value));
    let kept: Vec<String> = kept
        .map(|(key, value)| format!("{}:{}", quoted(key), value.get()))
        .collect();
    Some(format!("{{{}}}", kept.join(",")))
}

fn form(place: &str, key: &str, why: &str) -> RequestError {
    RequestError::Form {
        path: joined(place, key).into(),
        why: why.to_owned(),
    }
}

fn joined(place: &str, key: &str) -> String {
    match (place, key) {
        ("", key) => key.to_owned(),
        (place, "") => place.to_owned(),
        (place, key) => format!("{place}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The settings of real servers.
    fn recorded() -> [serde_json::Map<String, Value>; 2] {
        ["v1.10.1", "sdnext"].map(|server| {
            let path = format!(
                "{}/../tests/fixtures/webui/{server}/get-options.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            case["response"]["json"].as_object().unwrap().clone()
        })
    }

    #[test]
    fn of_the_settings_of_real_servers_those_about_paths_are_refused() {
        let keys = recorded().into_iter().flatten().map(|(key, _)| key);
        let mut refused: Vec<String> = keys.filter(|key| is_path(key)).collect();
        refused.sort_unstable();
        refused.dedup();
        insta::assert_debug_snapshot!(refused);
    }

    fn refused(route: &str, body: &str) -> Option<String> {
        let checked = AllowedSettings::default().check(route, body, "payload");
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn paths_are_refused_however_they_are_written() {
        for key in [
            "outdir_samples",
            "outdir_txt2img_samples",
            "samples_filename_pattern",
            "directories_filename_pattern",
            "temp_dir",
            "profiling_filename",
            r"outd\u0069r_save",
            "OUTDIR_GRIDS",
            "control_net_detectedmap_dir",
        ] {
            for (route, body) in [
                (
                    OPTIONS,
                    format!(r#"{{"CLIP_stop_at_last_layers": 2, "{key}": "/x"}}"#),
                ),
                ("/sdapi/v1/options?x=1", format!(r#"{{"{key}": "/x"}}"#)),
                (
                    "/sdapi/v1/txt2img",
                    format!(r#"{{"override_settings": {{"{key}": "/x"}}}}"#),
                ),
                (
                    "/sdapi/v1/img2img",
                    format!(r#"{{"override\u005fsettings": {{"{key}": "/x"}}}}"#),
                ),
                (
                    "/queue/txt2img",
                    format!(r#"{{"override_settings": {{"{key}": "/x"}}, "override_settings": {{}}}}"#),
                ),
            ] {
                let why = refused(route, &body).unwrap_or_else(|| panic!("{route} {body}"));
                assert!(why.contains("says where the server writes"), "{why}");
            }
        }
    }

    #[test]
    fn what_the_server_would_read_as_settings_is_one_object_or_refused() {
        for body in [
            r#"{"override_settings": [["outdir_samples", "/x"]]}"#,
            r#"{"override_settings": {"\ud800": 1, "outdir_samples": "/x"}}"#,
            r#"{"override_settings": "outdir_samples"}"#,
        ] {
            let why = refused("/sdapi/v1/txt2img", body).unwrap();
            assert_eq!(
                why,
                "input.payload.override_settings: expected an object of settings"
            );
        }
        assert!(refused(OPTIONS, r#"[["outdir_samples", "/x"]]"#).is_some());
        assert!(refused(OPTIONS, r#"{"\ud800": 1}"#).is_some());
        assert!(refused("/sdapi/v1/png-info", r#"[["image", "http://127.0.0.1"]]"#).is_some());
    }

    #[test]
    fn other_settings_are_none_of_the_worker_s_business() {
        for (route, body) in [
            (
                OPTIONS,
                r#"{"sd_model_checkpoint": "a/b.safetensors", "sd_vae": "c.pt", "samples_format": "png"}"#,
            ),
            (OPTIONS, "{}"),
            (
                "/sdapi/v1/txt2img",
                r#"{"override_settings": {"CLIP_stop_at_last_layers": 2}}"#,
            ),
            ("/sdapi/v1/txt2img", r#"{"override_settings": null}"#),
            ("/sdapi/v1/txt2img", r#"{"override_settings": [ ]}"#),
            (
                "/sdapi/v1/txt2img",
                r#"{"prompt": "outdir_samples", "outdir_samples": 1}"#,
            ),
            ("/my/route", "[1]"),
        ] {
            assert_eq!(refused(route, body), None, "{route} {body}");
        }
    }

    #[test]
    fn the_owner_allows_settings_by_name() {
        let allowed = AllowedSettings::new(&["outdir_samples".to_owned(), "directories_*".to_owned()]);
        let check = |key: &str| allowed.check(OPTIONS, &format!(r#"{{"{key}": "/x"}}"#), "");
        assert!(check("outdir_samples").is_ok() && check("directories_filename_pattern").is_ok());
        assert_eq!(
            check("outdir_grids").unwrap_err().to_string(),
            "input.outdir_grids: this setting says where the server writes, for later jobs as well"
        );
    }

    #[test]
    fn keys_of_other_services_are_left_out_of_an_answer() {
        let call = |method: Method, route: &'static str| Call {
            method,
            route: route.into(),
            body: None,
            job_kind: crate::webui::JobKind::Nothing,
        };
        let options = r#"{ "huggingface_token" : "hf_x","civitai_api_key":"k", "a": 1.0, "token_merging_ratio": 0.5, "api_key": ""}"#;
        let answer = |text: &str| RawJson::parse(text.to_owned()).unwrap();
        let seen = without_secrets(&call(Method::GET, "/sdapi/v1/options?x"), answer(options));
        assert_eq!(
            seen.as_str(),
            r#"{"a":1.0,"token_merging_ratio":0.5,"api_key":""}"#
        );
        let extensions = r#"[{"remote": "https://user:ghp_secret@github.com/a/b"}]"#;
        let seen = without_secrets(&call(Method::GET, EXTENSIONS), answer(extensions));
        assert_eq!(
            seen.as_str(),
            r#"[{"remote": "https://[secret]@github.com/a/b"}]"#
        );
        let [a1111, _] = recorded();
        let recorded = serde_json::to_string(&a1111).unwrap();
        for (route, text) in [("/sdapi/v1/samplers", options), (OPTIONS, recorded.as_str())] {
            assert_eq!(
                without_secrets(&call(Method::GET, route), answer(text)).as_str(),
                text
            );
        }
    }
}
