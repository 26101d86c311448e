//! Selects the worker's checkpoint and checks that renders use it (`docs/protocol/webui-api.md` §9).

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use super::WebUi;
use super::error::WebUiError;
use super::routes::MODELS;

/// How many of the WebUI's checkpoints a message lists.
const LISTED: usize = 8;

/// An entry of the WebUI's list of checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Checkpoint {
    title: String,
    model_name: String,
    hash: Option<String>,
    sha256: Option<String>,
    filename: String,
}

/// Why the worker's checkpoint is not in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongCheckpoint {
    #[error("the WebUI has no checkpoint '{wanted}'; it has {there}")]
    Unknown { wanted: String, there: String },
    #[error("the checkpoint '{wanted}' can't be selected: {reason}")]
    Refused { wanted: String, reason: WebUiError },
    #[error("the checkpoint '{wanted}' was selected, but the WebUI renders with '{used}'")]
    NotInUse { wanted: String, used: String },
}

impl Checkpoint {
    /// A checkpoint of a WebUI that does not list them, by one of its names.
    fn unlisted(wanted: &str) -> Self {
        let (file, bracket) = wanted.rsplit_once(" [").unwrap_or((wanted, ""));
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let hash = bracket.strip_suffix(']').unwrap_or_default();
        Self {
            title: wanted.to_owned(),
            model_name: stem.to_owned(),
            hash: (!hash.is_empty()).then(|| hash.to_owned()),
            sha256: None,
            filename: file.to_owned(),
        }
    }

    /// Whether `wanted` names this checkpoint: by title, name, file name or hash.
    fn answers_to(&self, wanted: &str) -> bool {
        let file = self.filename.rsplit(['/', '\\']).next().unwrap_or_default();
        [self.title.as_str(), &self.model_name, file, &self.filename].contains(&wanted)
            || file.rsplit_once('.').is_some_and(|(name, _)| name == wanted)
            || [&self.hash, &self.sha256]
                .into_iter()
                .flatten()
                .any(|hash| hash == wanted)
    }

    /// Whether `wanted` names this checkpoint without the hash in brackets at its end. On a server that hashes nothing
    /// the bracket is no part of the name.
    fn answers_without_hash(&self, wanted: &str) -> bool {
        let name = wanted.strip_suffix(']').and_then(|name| name.rsplit_once(" ["));
        self.hash.is_none() && name.is_some_and(|(name, _)| self.answers_to(name))
    }

    /// Fails if a render reports another checkpoint.
    pub(super) fn check(&self, used: &UsedCheckpoint) -> Result<(), WrongCheckpoint> {
        let (name, hash) = (used.sd_model_name.as_deref(), used.sd_model_hash.as_deref());
        let same = match (&self.hash, hash) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Forks and versions before 1.6 report no hash, or nothing.
            _ => name.is_none_or(|name| name == self.model_name || self.answers_to(name)),
        };
        if same {
            return Ok(());
        }
        Err(WrongCheckpoint::NotInUse {
            wanted: self.title.clone(),
            used: name.or(hash).unwrap_or_default().to_owned(),
        })
    }
}

/// The checkpoint that a render was made with, as its answer reports it. Fields are empty where the answer does not
/// report it.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct UsedCheckpoint {
    pub(super) sd_model_name: Option<String>,
    pub(super) sd_model_hash: Option<String>,
}

impl UsedCheckpoint {
    /// Reads the answer's `info`, which is JSON inside a string.
    pub(super) fn of(answer: &RawJson) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            info: String,
        }
        serde_json::from_slice::<Answer>(answer.as_bytes())
            .and_then(|answer| serde_json::from_str(&answer.info))
            .unwrap_or_default()
    }
}

impl WebUi {
    /// Selects a checkpoint and returns when it is loaded. There is no time limit.
    pub(super) async fn select_checkpoint(&self, wanted: &str) -> Result<Checkpoint, WrongCheckpoint> {
        let refused = |reason| WrongCheckpoint::Refused {
            wanted: wanted.to_owned(),
            reason,
        };
        let all: Vec<Checkpoint> = match self.get_small(MODELS).await {
            Ok(all) => all,
            Err(error) if error.status().is_some_and(|status| status >= 500) => {
                warn!(%error, "the WebUI does not list its checkpoints; selecting the one that is wanted all the same");
                let change = json!({ "sd_model_checkpoint": wanted });
                self.set_options(&change).await.map_err(refused)?;
                return Ok(Checkpoint::unlisted(wanted));
            }
            Err(error) => return Err(refused(error)),
        };
        let exact = all.iter().find(|checkpoint| checkpoint.answers_to(wanted));
        let fitting = || {
            all.iter()
                .find(|checkpoint| checkpoint.answers_without_hash(wanted))
        };
        let Some(checkpoint) = exact.or_else(fitting) else {
            return Err(WrongCheckpoint::Unknown {
                wanted: wanted.to_owned(),
                there: list(&all),
            });
        };
        let options = match self.options().await {
            Ok(options) => options,
            // Selecting the current checkpoint once more does no harm.
            Err(error) if error.status().is_some() || matches!(error, WebUiError::BadAnswer { .. }) => {
                warn!(%error, "the WebUI does not list its settings; selecting the checkpoint all the same");
                Value::Null
            }
            Err(error) => return Err(refused(error)),
        };
        let current = options["sd_model_checkpoint"].as_str().unwrap_or_default();
        if !checkpoint.answers_to(current) {
            let change = json!({ "sd_model_checkpoint": checkpoint.title });
            self.set_options(&change).await.map_err(refused)?;
        }
        Ok(checkpoint.clone())
    }
}

/// The first titles, for a message.
fn list(all: &[Checkpoint]) -> String {
    let names: Vec<String> = all
        .iter()
        .take(LISTED)
        .map(|checkpoint| format!("'{}'", checkpoint.title))
        .collect();
    match all.len() - names.len() {
        _ if names.is_empty() => "none at all".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            title: "xl.safetensors [72897b720f]".to_owned(),
            model_name: "xl".to_owned(),
            hash: Some("72897b720f".to_owned()),
            sha256: None,
            filename: "/models/Stable-diffusion/xl.safetensors".to_owned(),
        }
    }

    #[test]
    fn a_checkpoint_has_many_names() {
        for name in [
            "xl.safetensors [72897b720f]",
            "xl.safetensors",
            "xl",
            "72897b720f",
        ] {
            assert!(checkpoint().answers_to(name), "{name}");
        }
        assert!(!checkpoint().answers_to("x"));
        assert!(!checkpoint().answers_to(""));
    }

    #[test]
    fn a_hash_in_brackets_is_no_part_of_the_name_where_nothing_is_hashed() {
        let unhashed = Checkpoint {
            title: "v1-5-pruned.safetensors".to_owned(),
            model_name: "v1-5-pruned".to_owned(),
            hash: None,
            sha256: None,
            filename: "/models/v1-5-pruned.safetensors".to_owned(),
        };
        assert!(unhashed.answers_without_hash("v1-5-pruned.safetensors [6ce0161689]"));
        assert!(unhashed.answers_without_hash("v1-5-pruned [6ce0161689]"));
        assert!(!unhashed.answers_without_hash("other.safetensors [6ce0161689]"));
        assert!(
            !checkpoint().answers_without_hash("xl.safetensors [0000000000]"),
            "another file"
        );
    }

    #[test]
    fn a_render_with_another_checkpoint_is_noticed() {
        let used = |name: Option<&str>, hash: Option<&str>| UsedCheckpoint {
            sd_model_name: name.map(str::to_owned),
            sd_model_hash: hash.map(str::to_owned),
        };
        assert!(checkpoint().check(&used(Some("xl"), None)).is_ok());
        assert!(
            checkpoint().check(&used(None, None)).is_ok(),
            "nothing is reported"
        );
        assert!(checkpoint().check(&used(Some("xl"), Some("72897b720f"))).is_ok());
        let error = checkpoint().check(&used(Some("other"), None)).unwrap_err();
        assert!(error.to_string().contains("renders with 'other'"), "{error}");
    }

    #[test]
    fn a_checkpoint_that_is_not_listed_is_known_by_the_name_that_is_wanted() {
        for wanted in [
            "xl.safetensors [72897b720f]",
            "xl.safetensors",
            "sd/xl.safetensors",
            "xl",
        ] {
            let unlisted = Checkpoint::unlisted(wanted);
            let used = UsedCheckpoint {
                sd_model_name: Some("xl".to_owned()),
                sd_model_hash: None,
            };
            assert!(unlisted.check(&used).is_ok(), "{wanted}");
            let other = UsedCheckpoint {
                sd_model_name: Some("other".to_owned()),
                sd_model_hash: None,
            };
            assert!(unlisted.check(&other).is_err(), "{wanted}");
        }
    }

    #[test]
    fn an_answer_reports_its_checkpoint() {
        let answer =
            RawJson::parse(r#"{"images":[],"info":"{\"sd_model_name\":\"a\",\"sd_model_hash\":null}"}"#);
        let used = UsedCheckpoint::of(&answer.unwrap());
        assert_eq!(
            (used.sd_model_name.as_deref(), used.sd_model_hash),
            (Some("a"), None)
        );
        assert_eq!(
            UsedCheckpoint::of(&RawJson::parse("{}").unwrap()),
            UsedCheckpoint::default()
        );
    }
}
