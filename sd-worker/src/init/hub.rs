//! `.runpod/hub.json` and `.runpod/tests.json`: what the RunPod Hub reads of a repository
//! (`https://docs.runpod.io/hub/publishing-guide`).

use serde_json::{Value, json};

use crate::environment::{Kind, Variable, variables};

/// Set by the image, or about a WebUI that is not the image's own.
const OF_THE_IMAGE: [&str; 6] = [
    "SD_WORKER_READ_AHEAD",
    "SD_WORKER_WEBUI_URL",
    "SD_WORKER_WEBUI_AUTH",
    "SD_WORKER_WEBUI_COMMAND",
    "SD_WORKER_WEBUI_DIR",
    "SD_WORKER_WEBUI_RESTART_BY_API",
];

/// Shown at once; the others are among the Hub's advanced settings.
const FIRST: [&str; 3] = ["SD_WORKER_CHECKPOINT", "SD_WORKER_CHECKS", "SD_WORKER_OUTPUT"];

/// The SDK's variables that an endpoint of pictures may want.
const OF_THE_SDK: [&str; 4] = [
    "RUNPOD_WORKER_TAKE_AHEAD",
    "RUNPOD_WORKER_TIMEOUT",
    "RUNPOD_WORKER_JOURNAL",
    "RUNPOD_WORKER_METRICS",
];

/// Pools with cards of 16 and 24 GB. torch 2.1 and 2.3 with CUDA 12.1 run on them.
const GPU_POOLS: &str = "ADA_24,AMPERE_24,AMPERE_16";
const CUDA_VERSIONS: [&str; 8] = ["12.8", "12.7", "12.6", "12.5", "12.4", "12.3", "12.2", "12.1"];
/// For the WebUI's own files and its output; the image does not count.
const CONTAINER_DISK_GB: u32 = 20;

/// The variables that are worth setting on an endpoint.
pub(crate) fn offered() -> impl Iterator<Item = Variable> {
    variables().into_iter().filter(|variable| {
        let name = variable.name.as_str();
        if name.starts_with("RUNPOD_") {
            OF_THE_SDK.contains(&name)
        } else {
            !OF_THE_IMAGE.contains(&name)
        }
    })
}

/// The text of `.runpod/hub.json`.
pub(super) fn hub(title: &str) -> String {
    written(&json!({
        "title": title,
        "description": "Stable Diffusion WebUI behind sd-worker.",
        "type": "serverless",
        "category": "image",
        "config": {
            "runsOn": "GPU",
            "containerDiskInGb": CONTAINER_DISK_GB,
            "gpuCount": 1,
            "gpuIds": GPU_POOLS,
            "allowedCudaVersions": CUDA_VERSIONS,
            "presets": [],
            "env": offered().map(|variable| input(&variable)).collect::<Vec<_>>(),
        },
    }))
}

/// The text of `.runpod/tests.json`.
pub(super) fn tests() -> String {
    written(&json!({
        "tests": [{
            "name": "renders a small picture",
            "input": {"prompt": "a red fox in the snow", "steps": 8, "width": 512, "height": 512, "seed": 7},
            // The first job waits for the model.
            "timeout": 300_000,
        }],
        "config": {
            "gpuTypeId": "NVIDIA GeForce RTX 4090",
            "gpuCount": 1,
            "env": [],
            "allowedCudaVersions": CUDA_VERSIONS,
        },
    }))
}

fn input(variable: &Variable) -> Value {
    let mut input = json!({
        "name": title(&variable.name),
        "description": variable.what,
        "advanced": !FIRST.contains(&variable.name.as_str()),
    });
    match &variable.kind {
        Kind::Switch => {
            input["type"] = json!("boolean");
            input["default"] = json!(false);
            input["trueValue"] = json!("true");
            input["falseValue"] = json!("false");
        }
        Kind::Number => {
            input["type"] = json!("number");
            input["default"] = json!(variable.default.parse::<u64>().unwrap_or_default());
        }
        Kind::Word(words) => {
            let options = words.iter().map(|word| json!({"label": word, "value": word}));
            input["type"] = json!("string");
            input["default"] = json!(variable.default);
            input["options"] = options.collect();
        }
        Kind::Text => {
            input["type"] = json!("string");
            // An empty variable counts as unset.
            input["default"] = json!(variable.default);
        }
    }
    json!({"key": variable.name, "input": input})
}

/// `SD_WORKER_READY_TIMEOUT` → `Ready timeout`.
fn title(name: &str) -> String {
    let words = name
        .trim_start_matches("SD_WORKER_")
        .trim_start_matches("RUNPOD_WORKER_")
        .replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().into_iter();
    first.chain(letters.flat_map(char::to_lowercase)).collect()
}

fn written(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_s_form_offers_the_variables_of_the_tables() {
        let hub: Value = serde_json::from_str(&hub("pictures")).unwrap();
        let env = hub["config"]["env"].as_array().unwrap();
        for name in FIRST.iter().chain(&OF_THE_SDK) {
            assert!(env.iter().any(|row| row["key"] == *name), "{name}");
        }
        let known = variables();
        for name in OF_THE_IMAGE {
            assert!(known.iter().any(|variable| variable.name == name), "{name}");
            assert!(env.iter().all(|row| row["key"] != name), "{name}");
        }
        let row = |name: &str| env.iter().find(|row| row["key"] == name).unwrap()["input"].clone();
        insta::assert_json_snapshot!([
            row("SD_WORKER_CHECKS"),
            row("SD_WORKER_STREAM"),
            row("SD_WORKER_RETRIES"),
            row("SD_WORKER_CHECKPOINT"),
        ]);
    }

    #[test]
    fn the_page_of_the_road_shows_the_same_variables() {
        use std::fmt::Write as _;
        let mut table = String::from("| variable | default | what it sets |\n|---|---|---|\n");
        for Variable {
            name, default, what, ..
        } in offered()
        {
            let default = if default.is_empty() { "none" } else { &default };
            writeln!(table, "| `{name}` | `{default}` | {what} |").unwrap();
        }
        crate::pages::assert_list("road.md", &table);
    }
}
