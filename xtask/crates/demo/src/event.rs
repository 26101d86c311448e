//! The example event (`docs/protocol/request-flow.md`).

use serde::Serialize;

pub(crate) const PROMPT: &str = "a photograph of an astronaut riding a horse";
pub(crate) const STEPS: u32 = 25;

/// The `input` of the example event, its keys in the same order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    prompt: String,
    negative_prompt: &'static str,
    steps: u32,
    cfg_scale: u32,
    width: u32,
    height: u32,
    sampler_name: &'static str,
}

impl Event {
    pub(crate) fn example(prompt: &str, steps: u32) -> Self {
        Self {
            prompt: prompt.to_owned(),
            negative_prompt: "text, watermark, blurry, low quality",
            steps,
            cfg_scale: 7,
            width: 512,
            height: 512,
            sampler_name: "DPM++ 2M Karras",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_the_one_of_the_protocol_notes() {
        let notes =
            std::fs::read_to_string(support::cargo::root().join("docs/protocol/request-flow.md")).unwrap();
        let (_, example) = notes.split_once("The example event:\n\n```json\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let example: serde_json::Value = serde_json::from_str(example).unwrap();
        let ours = serde_json::json!({ "input": Event::example(PROMPT, STEPS) });
        assert_eq!(ours.to_string(), example.to_string());
    }
}
