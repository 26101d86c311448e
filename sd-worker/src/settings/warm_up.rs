//! Small renders that prove more than an answering list does: the model is loaded and the GPU works
//! (`docs/protocol/webui-api.md` §1).

use std::str::FromStr;

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::{Value, json};

/// The renders before the first job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    requests: Vec<RawJson>,
}

impl WarmUp {
    /// The cheapest render there is.
    pub(crate) fn smallest() -> Self {
        Self {
            requests: vec![smallest()],
        }
    }

    pub(crate) fn requests(&self) -> &[RawJson] {
        &self.requests
    }
}

/// One step of 64×64 pixels.
pub(crate) fn smallest() -> RawJson {
    let request = json!({
        "prompt": "warm-up", "seed": 1, "steps": 1, "width": 64, "height": 64, "sampler_name": "Euler",
    });
    RawJson::encode(&request).expect("a JSON value can be written")
}

impl FromStr for WarmUp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "on" | "1" | "true" | "yes" => return Ok(Self::smallest()),
            "off" | "0" | "false" | "no" => return Ok(Self { requests: Vec::new() }),
            _ => {}
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            format!("not JSON: {error}; write on, or a txt2img request, or a list of them")
        })?;
        let list = match value {
            Value::Array(list) => list,
            other => vec![other],
        };
        let requests = list.iter().map(|request| {
            if !request.is_object() {
                return Err(format!("expected a txt2img request, found {request}"));
            }
            RawJson::encode(request).map_err(|error| error.to_string())
        });
        Ok(Self {
            requests: requests.collect::<Result<_, _>>()?,
        })
    }
}

/// Which checkpoint a render was made with, by its answer. Empty where it does not say.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Used {
    pub(super) sd_model_name: Option<String>,
    pub(super) sd_model_hash: Option<String>,
}

impl Used {
    /// `info` is JSON inside a string.
    pub(super) fn by(answer: &RawJson) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            info: String,
        }
        serde_json::from_slice::<Answer>(answer.as_bytes())
            .and_then(|answer| serde_json::from_str(&answer.info))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_is_a_word_a_request_or_a_list() {
        let parsed = |text: &str| text.parse::<WarmUp>();
        assert_eq!(parsed("on"), Ok(WarmUp::smallest()));
        assert_eq!(parsed("off").unwrap().requests(), []);
        assert_eq!(
            parsed(r#"{"steps": 2}"#).unwrap().requests()[0].as_str(),
            r#"{"steps":2}"#
        );
        assert_eq!(parsed(r#"[{"steps": 2}, {}]"#).unwrap().requests().len(), 2);
        assert!(parsed("[1]").unwrap_err().contains("txt2img"));
        assert!(parsed("maybe").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn the_answer_tells_the_checkpoint() {
        let answer =
            RawJson::parse(r#"{"images":[],"info":"{\"sd_model_name\":\"a\",\"sd_model_hash\":null}"}"#);
        let used = Used::by(&answer.unwrap());
        assert_eq!(
            (used.sd_model_name.as_deref(), used.sd_model_hash),
            (Some("a"), None)
        );
        assert_eq!(Used::by(&RawJson::parse("{}").unwrap()), Used::default());
    }
}
