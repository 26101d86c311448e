//! The imitated extension of sd-worker: pictures of different jobs in one batch.

use mock_webui::{Fault, Lora, MockWebUi};
use serde_json::{Value, json};

use crate::support::{get, info, picture, post, render};

/// A job that leaves no setting to chance.
fn job(prompt: &str, negative: &str, seed: i64) -> Value {
    json!({ "prompt": prompt, "negative_prompt": negative, "seed": seed, "subseed": seed + 1 })
}

/// The request of some jobs in one batch.
fn batch(jobs: &[Value]) -> Value {
    let mut request = alone(&jobs[0]);
    request["batch_size"] = json!(jobs.len());
    request["alwayson_scripts"] = json!({ "Batch jobs": { "args": [jobs] } });
    request
}

fn alone(job: &Value) -> Value {
    let mut request = job.clone();
    for (name, value) in [("steps", 2), ("width", 64), ("height", 64)] {
        request[name] = json!(value);
    }
    request
}

#[tokio::test]
async fn each_picture_of_a_batch_is_that_of_its_job_alone() {
    let webui = MockWebUi::builder().batch_extension(1).start().await;
    let jobs = [
        job("a cat", "blurry", 5),
        job("a dog", "", 77),
        job("a cow, a hat", "red", 9),
    ];
    let together = render(&webui, &batch(&jobs)).await;
    let about = info(&together);
    assert_eq!(about["all_prompts"], json!(["a cat", "a dog", "a cow, a hat"]));
    assert_eq!(about["all_seeds"], json!([5, 77, 9]));
    assert_eq!(about["index_of_first_image"], 0);
    assert_eq!(together["images"].as_array().map(Vec::len), Some(3));
    for (index, job) in jobs.iter().enumerate() {
        let single = render(&webui, &alone(job)).await;
        assert_eq!(about["infotexts"][index], info(&single)["infotexts"][0]);
        assert_eq!(picture(&together, index), picture(&single, 0), "{job}");
    }
}

#[tokio::test]
async fn the_second_pass_has_each_job_s_own_prompt() {
    let webui = MockWebUi::builder().batch_extension(1).start().await;
    let mut jobs = [job("a cat", "", 5), job("a dog", "", 77)];
    jobs[1]["hr_prompt"] = json!("a sharp dog");
    let hires = |mut request: Value| {
        request["enable_hr"] = json!(true);
        request["denoising_strength"] = json!(0.5);
        request
    };
    let about = info(&render(&webui, &hires(batch(&jobs))).await);
    for (index, job) in jobs.iter().enumerate() {
        let single = info(&render(&webui, &hires(alone(job))).await);
        assert_eq!(about["infotexts"][index], single["infotexts"][0]);
        assert_eq!(
            about["extra_generation_params"],
            single["extra_generation_params"]
        );
    }
}

#[tokio::test]
async fn networks_are_those_of_the_first_prompt_alone() {
    let webui = MockWebUi::builder()
        .batch_extension(1)
        .loras([Lora::new("style", "0123456789ab")])
        .start()
        .await;
    let jobs = [job("a cat", "", 5), job("a dog <lora:style:1>", "", 77)];
    let together = render(&webui, &batch(&jobs)).await;
    let single = render(&webui, &alone(&jobs[1])).await;
    assert_ne!(picture(&together, 1), picture(&single, 0));
    assert!(
        !info(&together)["infotexts"][1]
            .as_str()
            .unwrap_or_default()
            .contains("Lora hashes")
    );
}

#[tokio::test]
async fn a_list_that_does_not_fit_is_swallowed() {
    let webui = MockWebUi::builder().batch_extension(1).start().await;
    let mut request = batch(&[job("a cat", "", 5), job("a dog", "", 77)]);
    request["batch_size"] = json!(3);
    let about = info(&render(&webui, &request).await);
    assert_eq!(about["all_prompts"], json!(["a cat", "a cat", "a cat"]));
}

#[tokio::test]
async fn one_guilty_picture_fails_its_batch() {
    let webui = MockWebUi::builder()
        .batch_extension(1)
        .fault(Fault::nan_for("guilty"))
        .fault(Fault::out_of_memory_above(2))
        .start()
        .await;
    let (good, guilty) = (job("a cat", "", 5), job("a guilty dog", "", 77));
    let failed = post(&webui, "txt2img", &batch(&[good.clone(), guilty])).await;
    assert_eq!(failed.status(), 500);
    let error: Value = failed.json().await.expect("JSON");
    assert_eq!(error["error"], "NansException");
    let failed = post(&webui, "txt2img", &batch(&vec![good.clone(); 3])).await;
    let error: Value = failed.json().await.expect("JSON");
    assert_eq!(error["error"], "OutOfMemoryError");
    render(&webui, &batch(&[good.clone(), good])).await;
}

#[tokio::test]
async fn the_script_is_listed_where_it_is_installed() {
    let titles = async |webui: &MockWebUi, of: &str| get(webui, "scripts").await[of].to_string();
    let without = MockWebUi::start().await;
    assert!(!titles(&without, "txt2img").await.contains("batch jobs"));
    let refused = post(&without, "txt2img", &batch(&[job("x", "", 1), job("y", "", 2)])).await;
    assert_eq!(refused.status(), 422);
    let with = MockWebUi::builder().batch_extension(1).start().await;
    assert!(titles(&with, "txt2img").await.contains("batch jobs"));
    assert!(!titles(&with, "img2img").await.contains("batch jobs"));
    let scripts = get(&with, "script-info").await;
    let entry = scripts
        .as_array()
        .and_then(|all| all.iter().find(|entry| entry["name"] == "batch jobs"));
    assert_eq!(
        entry.expect("listed")["args"][0]["label"],
        "jobs of sd-worker, version 1"
    );
    assert_eq!(get(&with, "extensions").await[0]["name"], "sd-worker-batch-jobs");
}
