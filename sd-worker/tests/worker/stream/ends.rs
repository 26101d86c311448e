//! Streams that meet trouble: cancels, errors, a WebUI that dies.

use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use mock_webui::{Fault, MockWebUi};
use runpod_sdk::client::ClientError;
use serde_json::{Value, json};

use super::{answering, as_pictures, chunks, four, on_its_own_clock, pictures, read, streaming};
use crate::support::owned::{kill, started};
use crate::support::{OwnedWebUi, S3, Stage, Uploads, error_of, png_64, soon, told, verdict};

#[tokio::test]
async fn a_cancel_in_the_middle_frees_the_gpu_and_what_was_streamed_stays() {
    let webui = on_its_own_clock().start().await;
    let stage = Stage::new(webui.url()).await;
    let job = stage.submit(&streaming(&four(&json!({})), &json!({}))).await;
    let mut stream = pin!(job.stream::<Value>());
    soon(webui.gpu().advance(5)).await;
    assert_eq!(soon(stream.next()).await.unwrap().unwrap()["index"], 0);
    soon(webui.gpu().advance(2)).await;
    soon(job.cancel()).await.unwrap();
    soon(webui.gpu().idle()).await;
    assert_eq!((webui.gpu().renders(), webui.gpu().steps_done()), (2, 7));
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "CANCELLED");

    // The next job gets the GPU, whole.
    let next = stage.submit(&four(&json!({ "n_iter": 1 })).to_string()).await;
    soon(webui.gpu().advance(5)).await;
    assert_eq!(soon(next.wait()).await.unwrap().status.as_str(), "COMPLETED");
    assert_eq!(webui.gpu().renders(), 3);
}

#[tokio::test]
async fn a_stream_past_its_deadline_frees_the_gpu_and_is_told_so() {
    let webui = on_its_own_clock().start().await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_TIMEOUT", "3s")]).await;
    let job = stage.submit(&streaming(&four(&json!({})), &json!({}))).await;
    soon(webui.gpu().rendering()).await;
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "FAILED");
    assert_eq!(verdict(&error_of(&report)), ["TIMEOUT", "user", "final"]);
    soon(webui.gpu().idle()).await;
    assert!(webui.gpu().interrupts() > 0, "nothing else ends a render here");
}

#[tokio::test]
async fn an_error_in_the_third_of_four_keeps_two_chunks_and_ends_with_the_error_alone() {
    for aggregate in [false, true] {
        let boom = Fault::exception("ValueError", "boom").after(2);
        let webui = MockWebUi::builder().fault(boom).start().await;
        let stage = Stage::new(webui.url()).await;
        let input = streaming(&four(&json!({})), &json!({ "aggregate": aggregate }));
        let job = stage.submit(&input).await;
        let (chunks, error) = read(&job).await;
        assert_eq!(chunks.len(), 2);
        let Some(ClientError::Job(failure)) = error else {
            panic!("not the job's error: {error:?}");
        };
        assert!(failure.text.contains("boom"), "{}", failure.text);
        let report = soon(job.wait()).await.unwrap();
        assert_eq!(report.status.as_str(), "FAILED");
        assert_eq!(verdict(&error_of(&report)), ["BACKEND_ERROR", "backend", "final"]);

        // On the wire, word for word.
        let calls = stage.platform.recorded_calls();
        let posts = |part: &str| {
            let posts = calls.iter().filter(|call| call.path_and_query.contains(part));
            posts
                .map(|call| serde_json::from_slice(&call.body).unwrap())
                .filter(|body: &Value| body["status"].is_null())
                .collect::<Vec<Value>>()
        };
        let streamed: Vec<_> = posts("/job-stream/")
            .iter()
            .map(|body| body["output"]["index"].clone())
            .collect();
        assert_eq!(streamed, [0, 1]);
        let ends = posts("/job-done/");
        let keys: Vec<_> = ends
            .iter()
            .map(|body| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
            .collect();
        assert_eq!(keys, [vec!["error".to_owned()]], "aggregate: {aggregate}");
    }
}

#[tokio::test]
async fn a_webui_that_dies_before_the_second_picture_is_started_again_and_the_seeds_go_on() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.worker.says("the WebUI is ready").await;
    webui
        .inject(json!({ "kind": "die-at", "step": 0, "after": 1 }))
        .await;
    let mut payload = four(&json!({ "seed": -1, "n_iter": 3 }));
    let chunks = chunks(&stage, &streaming(&payload, &json!({}))).await;
    assert_eq!(started(&stage.worker).len(), 2);
    payload["seed"] = chunks[0]["seed"].clone();
    assert_eq!(as_pictures(&chunks), pictures(&stage, &payload).await);
}

#[tokio::test]
async fn a_webui_that_dies_in_the_second_picture_ends_the_stream_and_renders_it_no_more() {
    let webui = OwnedWebUi::new("");
    let stage = webui.stage(&[]).await;
    stage.worker.says("the WebUI is ready").await;
    webui
        .inject(json!({ "kind": "stall-at", "step": 2, "after": 1 }))
        .await;
    let job = stage.submit(&streaming(&four(&json!({})), &json!({}))).await;
    told(&job, |update| update["image"] == 2 && update["step"] == 2).await;
    let renders = webui.gpu().await["renders"].clone();
    kill(started(&stage.worker)[0]).await;
    let (chunks, error) = read(&job).await;
    assert_eq!((chunks.len(), chunks[0]["seed"].clone()), (1, json!(7)));
    assert!(matches!(error, Some(ClientError::Job(_))), "{error:?}");
    let report = soon(job.wait()).await.unwrap();
    assert_eq!(
        verdict(&error_of(&report)),
        ["BACKEND_LOST", "backend", "retryable"]
    );
    stage.worker.says("the WebUI is well again").await;
    assert_eq!(renders, 2, "one for each picture");
    assert_eq!(
        webui.gpu().await["renders"],
        1,
        "a small picture, to see whether it can"
    );
}

#[tokio::test]
async fn a_webui_that_dies_during_an_upload_is_mended_meanwhile() {
    let (webui, s3) = (OwnedWebUi::new(""), S3::start(Uploads::Held).await);
    let stage = webui.stage(&s3.variables()).await;
    let job = stage
        .submit(&streaming(&four(&json!({})), &json!({ "output": "upload" })))
        .await;
    s3.uploads_reach(1).await;
    kill(started(&stage.worker)[0]).await;
    stage.worker.says("the WebUI is well again").await;
    assert_eq!(s3.uploads(), 1, "the stream still waits for its first upload");
    soon(job.cancel()).await.unwrap();
    stage.complete(&four(&json!({ "n_iter": 1 })).to_string()).await;
}

#[tokio::test]
async fn pictures_whose_seeds_are_not_told_are_streamed_all_the_same() {
    for (info, seeds) in [
        (
            json!(json!({ "seed": 7 }).to_string()),
            [Value::Null, Value::Null],
        ),
        (
            json!({ "seed": 7, "all_seeds": [7, "8"] }),
            [json!(7), Value::Null],
        ),
    ] {
        let webui = answering(json!({ "images": [png_64(), png_64()], "info": info }).to_string()).await;
        let stage = Stage::new(&webui.url).await;
        let chunks = chunks(&stage, &streaming(&four(&json!({ "n_iter": 2 })), &json!({}))).await;
        let streamed: Vec<_> = chunks.iter().map(|chunk| chunk["seed"].clone()).collect();
        assert_eq!(streamed, [&seeds[..], &seeds].concat(), "{info}");
        assert_eq!(webui.renders().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_streamed_is_an_error() {
    for (answer, words) in [
        (r#"{"images":[],"info":"{}"}"#.to_owned(), "no pictures"),
        (json!({ "images": [png_64()] }).to_string(), "which seed"),
    ] {
        let webui = answering(answer).await;
        let stage = Stage::new(&webui.url).await;
        let error = stage.fail(&streaming(&four(&json!({})), &json!({}))).await;
        assert_eq!(verdict(&error), ["BACKEND_BAD_ANSWER", "backend", "retryable"]);
        assert!(
            error["error_message"].as_str().unwrap().contains(words),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_picture_is_named_with_the_last_picture_of_its_render() {
    let (png, text) = (png_64(), STANDARD.encode("hello"));
    let answer = |images: Value| json!({ "images": images, "info": "{}" }).to_string();
    let webui = answering(answer(json!([png, text, null, png]))).await;
    let stage = Stage::new(&webui.url).await;
    let input = streaming(&json!({ "prompt": "x" }), &json!({}));
    let streamed = chunks(&stage, &input).await;
    assert_eq!(streamed.len(), 2);
    assert_eq!(streamed[0]["not_streamed"], Value::Null);
    assert_eq!(
        streamed[1]["not_streamed"],
        json!([{ "index": 1, "found": "text/plain, 5 bytes" }, { "index": 2, "found": "null" }])
    );

    let webui = answering(answer(json!([text]))).await;
    let stage = Stage::new(&webui.url).await;
    let error = stage.fail(&input).await;
    assert_eq!(verdict(&error), ["BACKEND_BAD_ANSWER", "backend", "retryable"]);
    let message = error["error_message"].as_str().unwrap();
    assert!(message.contains("at 0: text/plain, 5 bytes"), "{message}");
}
