//! Pictures one by one: a job's stream has each as soon as it is finished.

mod ends;
mod sizes;

use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use mock_webui::{MockWebUi, MockWebUiBuilder};
use runpod_sdk::client::{ClientError, JobHandle};
use serde_json::{Value, json};

use crate::support::{RawWebUi, Reply, Stage, aside, png_64, soon, told, verdict};

/// Four pictures of five steps each.
fn four(more: &Value) -> Value {
    let mut payload =
        json!({ "prompt": "a fox", "steps": 5, "width": 64, "height": 64, "seed": 7, "n_iter": 4 });
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

/// A WebUI that gives this answer to every render.
async fn answering(answer: String) -> RawWebUi {
    RawWebUi::start(move |request| match request.start() {
        "POST /sdapi/v1/txt2img" => {
            let answer = answer.clone();
            Box::pin(async move { Reply::json(200, answer) })
        }
        _ => aside(&request),
    })
    .await
}

/// A job that wishes a stream.
fn streaming(payload: &Value, wishes: &Value) -> String {
    let mut worker = json!({ "stream": true });
    for (key, value) in wishes.as_object().unwrap() {
        worker[key] = value.clone();
    }
    let route = if payload["init_images"].is_array() {
        "img2img"
    } else {
        "txt2img"
    };
    json!({ "api": { "endpoint": route }, "payload": payload, "worker": worker }).to_string()
}

/// Reads a job's stream to its end: the chunks, and the error that ended it.
async fn read(job: &JobHandle) -> (Vec<Value>, Option<ClientError>) {
    let items: Vec<Result<Value, ClientError>> = soon(job.stream().collect()).await;
    let mut chunks = Vec::new();
    for item in items {
        match item {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

/// The chunks of a job that must complete.
async fn chunks(stage: &Stage, input: &str) -> Vec<Value> {
    let job = stage.submit(input).await;
    let (chunks, error) = read(&job).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
    chunks
}

/// The same of a plain answer: each picture with its seed and infotext.
async fn pictures(stage: &Stage, payload: &Value) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(&stage.complete(&payload.to_string()).await).unwrap();
    let info: Value = serde_json::from_str(answer["info"].as_str().unwrap()).unwrap();
    let grids = usize::try_from(info["index_of_first_image"].as_u64().unwrap()).unwrap();
    let images = answer["images"].as_array().unwrap().iter().enumerate();
    images
        .map(|(index, image)| {
            let seed = index
                .checked_sub(grids)
                .map(|index| info["all_seeds"][index].clone());
            json!([index, image, seed, info["infotexts"][index]])
        })
        .collect()
}

/// What of a chunk a plain answer has, too.
fn as_pictures(chunks: &[Value]) -> Vec<Value> {
    let each = chunks.iter();
    each.map(|chunk| json!([chunk["index"], chunk["image"], chunk["seed"], chunk["infotext"]]))
        .collect()
}

fn on_its_own_clock() -> MockWebUiBuilder {
    MockWebUi::builder().manual_clock()
}

#[tokio::test]
async fn each_picture_arrives_before_the_next_is_rendered() {
    let webui = on_its_own_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let job = stage.submit(&streaming(&four(&json!({})), &json!({}))).await;
    let mut stream = pin!(job.stream::<Value>());
    for number in 0..4_u64 {
        soon(webui.gpu().advance(5)).await;
        let chunk = soon(stream.next()).await.unwrap().unwrap();
        assert_eq!(
            (&chunk["index"], &chunk["seed"]),
            (&json!(number), &json!(7 + number))
        );
        assert_eq!(chunk["media_type"], "image/png");
        let file = STANDARD.decode(chunk["image"].as_str().unwrap()).unwrap();
        assert_eq!(chunk["bytes"], file.len());
        assert_eq!(webui.gpu().steps_done(), 5 * (number + 1), "nothing of the next");
    }
    assert!(soon(stream.next()).await.is_none());
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.output::<Value>().unwrap(), json!([]), "they were streamed");
    assert_eq!(webui.gpu().renders(), 4);
    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn pictures_seeds_and_infotexts_are_those_of_the_unsplit_render() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    for more in [
        json!({}),
        json!({ "n_iter": "3", "batch_size": 2 }),
        json!({ "seed": -1, "batch_size": 2 }),
        json!({ "seed": null, "n_iter": 2 }),
        json!({ "subseed": 90, "subseed_strength": 0.4, "batch_size": 2 }),
        json!({ "n_iter": 2, "enable_hr": true, "denoising_strength": 0.5 }),
        json!({ "n_iter": 2, "infotext": "a cat\nSteps: 3, Seed: 11, Variation seed: 4, Variation seed strength: 0.3" }),
        json!({ "n_iter": 2, "alwayson_scripts": { "refiner": { "args": [] } } }),
    ] {
        let mut payload = four(&more);
        let renders = webui.gpu().renders();
        let chunks = chunks(&stage, &streaming(&payload, &json!({}))).await;
        let apart = webui.gpu().renders() - renders;
        assert_eq!(
            json!(apart.to_string()),
            json!(payload["n_iter"].to_string().trim_matches('"'))
        );
        // What was random is known by now.
        payload["seed"] = chunks[0]["seed"].clone();
        assert_eq!(as_pictures(&chunks), pictures(&stage, &payload).await, "{more}");
    }
}

#[tokio::test]
async fn what_would_differ_apart_is_rendered_in_one_and_streamed_after() {
    let webui = MockWebUi::builder()
        .settings_file(true)
        .controlnet_models(["canny [d14c016b]"])
        // Two starts from one picture are never alike on a real server; what is compared here is the order of pictures.
        .repeatable_img2img(true)
        .start()
        .await;
    let stage = Stage::new(webui.url()).await;
    let matrix = json!({
        "n_iter": 2, "prompt": "a fox|red|in snow", "script_name": "prompt matrix",
        "script_args": [false, false, "positive", "comma", 0],
    });
    for more in [
        matrix,
        json!({ "save_images": true }),
        json!({ "alwayson_scripts": { "ControlNet": { "args": [] } } }),
        json!({ "seed": -2 }),
        json!({ "n_iter": 3, "init_images": [png_64()] }),
    ] {
        let payload = four(&more);
        let renders = webui.gpu().renders();
        let chunks = chunks(&stage, &streaming(&payload, &json!({}))).await;
        assert_eq!(webui.gpu().renders(), renders + 1);
        assert_eq!(as_pictures(&chunks), pictures(&stage, &payload).await, "{more}");
        let has_grid = chunks[0]["grid"] == true;
        assert_eq!(
            has_grid,
            more["save_images"] == true || more["script_name"].is_string()
        );
    }
    stage.worker.says("rendered in one and streamed after that").await;
}

#[tokio::test]
async fn the_list_of_all_chunks_is_the_output_where_it_is_wished() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let job = stage
        .submit(&streaming(&four(&json!({})), &json!({ "aggregate": true })))
        .await;
    let (chunks, error) = read(&job).await;
    assert!(error.is_none(), "{error:?}");
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.output::<Vec<Value>>().unwrap(), chunks);
    assert_eq!(chunks.len(), 4);
}

#[tokio::test]
async fn the_owner_can_make_it_the_default_and_a_job_can_say_otherwise() {
    let webui = MockWebUi::start().await;
    let variables = [
        ("SD_WORKER_STREAM", "true"),
        ("SD_WORKER_STREAM_AGGREGATE", "true"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    // Of a plain input, too.
    let streamed = chunks(&stage, &four(&json!({ "n_iter": 2 })).to_string()).await;
    assert_eq!(streamed.len(), 2);
    // What cannot be streamed is answered as ever.
    let models = json!({ "api": { "endpoint": "sd-models" } }).to_string();
    let models: Value = serde_json::from_slice(&stage.complete(&models).await).unwrap();
    assert!(models[0]["title"].is_string(), "{models}");
    let whole = stage
        .complete(&streaming(&four(&json!({})), &json!({ "stream": false })))
        .await;
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["images"].as_array().unwrap().len(), 4);

    let refused = json!({ "api": { "endpoint": "sd-models" }, "worker": { "stream": true } }).to_string();
    let error = stage.fail(&refused).await;
    assert_eq!(
        error["error_message"],
        "input.worker.stream: only txt2img and img2img are streamed"
    );
}

#[tokio::test]
async fn each_render_is_checked_by_itself() {
    let webui = MockWebUi::start().await;
    let stage = Stage::new(webui.url()).await;
    let payload = four(&json!({ "num_inference_steps": 20, "n_iter": 2 }));
    let chunks = chunks(&stage, &streaming(&payload, &json!({ "checks": "warn" }))).await;
    assert_eq!(chunks.len(), 2);
    for chunk in &chunks {
        assert_eq!(
            chunk["warnings"].as_array().unwrap().len(),
            1,
            "{}",
            chunk["warnings"]
        );
    }
    let error = stage
        .fail(&streaming(&payload, &json!({ "checks": "strict" })))
        .await;
    assert_eq!(verdict(&error), ["NOT_APPLIED", "user", "final"]);
}

#[tokio::test]
async fn progress_is_that_of_all_pictures() {
    let webui = on_its_own_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_PROGRESS_INTERVAL", "20ms")]).await;
    let job = stage
        .submit(&streaming(
            &four(&json!({ "n_iter": 2, "steps": 10 })),
            &json!({}),
        ))
        .await;
    for (percent, image) in [(25, 1), (75, 2)] {
        soon(webui.gpu().advance(5)).await;
        let update = told(&job, |update| update["percent"] == percent).await;
        assert_eq!((&update["image"], &update["images"]), (&json!(image), &json!(2)));
        soon(webui.gpu().advance(5)).await;
    }
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
    let told: Vec<u64> = updates(&stage)
        .iter()
        .map(|(_, update)| update["percent"].as_u64().unwrap())
        .collect();
    assert!(told.is_sorted(), "{told:?}");
    assert!(
        told.iter().filter(|percent| **percent == 100).count() <= 1,
        "{told:?}"
    );
}

/// The progress that the platform was told, and when it came.
fn updates(stage: &Stage) -> Vec<(Duration, Value)> {
    let calls = stage.platform.recorded_calls();
    let posts = calls
        .iter()
        .filter(|call| call.path_and_query.contains("/job-done/"));
    posts
        .map(|call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            (call.at, body["output"].clone())
        })
        .filter(|(_, output)| output["percent"].is_number())
        .collect()
}

#[tokio::test]
async fn updates_come_a_second_apart_however_short_the_pictures_are() {
    // Each picture is first looked at half a second after its begin, which is 0.7 s after the one before.
    let webui = MockWebUi::builder()
        .step_time(Duration::from_millis(100))
        .start()
        .await;
    let stage = Stage::new(webui.url()).await;
    let input = streaming(&four(&json!({ "steps": 7, "n_iter": 5 })), &json!({}));
    assert_eq!(chunks(&stage, &input).await.len(), 5);
    let updates = updates(&stage);
    assert!(updates.len() >= 2, "{updates:?}");
    for pair in updates.windows(2) {
        let apart = pair[1].0.saturating_sub(pair[0].0);
        assert!(apart >= Duration::from_millis(900), "{apart:?}: {updates:?}");
        assert!(pair[0].1["percent"].as_u64() <= pair[1].1["percent"].as_u64());
    }
    let mut sampling = updates.iter().filter(|(_, update)| update["phase"] == "sampling");
    assert!(
        sampling.all(|(_, update)| update["eta_s"].is_number()),
        "{updates:?}"
    );
}
