//! Renders before the first job. They prove that the model is loaded and that the GPU works
//! (`docs/protocol/webui-api.md` §1).

use std::str::FromStr;

use runpod_sdk::json::RawJson;
use serde_json::{Value, json};

/// The txt2img requests that are rendered before the first job is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    requests: Vec<RawJson>,
}

impl WarmUp {
    /// One render, the cheapest possible.
    pub(crate) fn smallest() -> Self {
        Self {
            requests: vec![smallest_render()],
        }
    }

    pub(crate) fn requests(&self) -> &[RawJson] {
        &self.requests
    }
}

/// The cheapest txt2img request: one step of 64×64 pixels.
pub(crate) fn smallest_render() -> RawJson {
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
}
