//! OpenAI's API in front of jobs.

use runpod_sdk::local::ViolationKind;
use serde_json::{Value, json};

use crate::support::Rig;

const CHAT: &str = "openai/v1/chat/completions";

fn asking(rig: &Rig, body: &Value) -> tokio::task::JoinHandle<(u16, String, String)> {
    let request = rig.request(reqwest::Method::POST, CHAT).body(body.to_string());
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        let label = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), label, answer.text().await.unwrap())
    })
}

#[tokio::test]
async fn a_request_is_a_job_with_its_route_and_body_and_the_output_is_the_answer() {
    let rig = Rig::new().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for output in [json!({"choices": []}), json!([{"choices": []}])] {
        let answer = rig.posting(CHAT, &body);
        let worker = rig.worker("w1");
        let job = worker.take(false).await.ok();
        let input = json!({"openai_route": "/v1/chat/completions", "openai_input": body});
        assert_eq!(job["input"], input);
        worker
            .done(job["id"].as_str().unwrap(), &json!({"output": output}))
            .await;
        assert_eq!(answer.await.unwrap().ok(), json!({"choices": []}));
    }
    let models = rig.getting("openai/v1/models");
    let worker = rig.worker("w1");
    let job = worker.take(false).await.ok();
    assert_eq!(
        job["input"],
        json!({"openai_route": "/v1/models", "openai_input": {}})
    );
    worker
        .done(job["id"].as_str().unwrap(), &json!({"output": {"data": []}}))
        .await;
    assert_eq!(models.await.unwrap().ok(), json!({"data": []}));
}

#[tokio::test]
async fn a_stream_is_relayed_as_events_whatever_form_its_chunks_have() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let answer = asking(&rig, &json!({"stream": true}));
    let job = worker.take(false).await.ok();
    let id = job["id"].as_str().unwrap();
    worker.chunk(id, &json!({"n": 1})).await;
    worker
        .chunk(id, &json!("data: {\"n\": 2}\n\ndata: {\"n\": 3}\n\n"))
        .await;
    worker.chunk(id, &json!("two\nlines")).await;
    worker.done(id, &json!({"output": []})).await;
    let (status, label, text) = answer.await.unwrap();
    assert_eq!((status, label.as_str()), (200, "text/event-stream"));
    assert_eq!(
        text,
        "data: {\"n\":1}\n\ndata: {\"n\": 2}\n\ndata: {\"n\": 3}\n\ndata: two\ndata: lines\n\ndata: [DONE]\n\n"
    );
}

#[tokio::test]
async fn a_worker_that_ends_its_events_itself_and_one_that_does_not_stream_are_relayed_too() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let answer = asking(&rig, &json!({"stream": true}));
    let job = worker.take(false).await.ok();
    let id = job["id"].as_str().unwrap();
    worker.chunk(id, &json!("data: 1\n\ndata: [DONE]\n\n")).await;
    worker.done(id, &json!({"output": []})).await;
    assert_eq!(answer.await.unwrap().2, "data: 1\n\ndata: [DONE]\n\n");

    let answer = asking(&rig, &json!({"stream": true}));
    let job = worker.take(false).await.ok();
    worker
        .done(job["id"].as_str().unwrap(), &json!({"output": {"n": 1}}))
        .await;
    assert_eq!(answer.await.unwrap().2, "data: {\"n\":1}\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn a_job_that_fails_is_an_error_in_openais_form() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let by_user =
        json!({"error_message": "no such model", "code": "INVALID_INPUT", "class": "user"}).to_string();
    for (error, status, message, code) in [
        (by_user.as_str(), 400, "no such model", json!("INVALID_INPUT")),
        ("it broke", 500, "it broke", Value::Null),
    ] {
        for stream in [false, true] {
            let answer = asking(&rig, &json!({"stream": stream}));
            let job = worker.take(false).await.ok();
            worker
                .done(job["id"].as_str().unwrap(), &json!({"error": error}))
                .await;
            let (seen, _, text) = answer.await.unwrap();
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(seen, status, "{text}");
            assert_eq!(
                (&body["error"]["message"], &body["error"]["code"]),
                (&json!(message), &code)
            );
        }
    }
    // After the first event only an event can say so.
    let answer = asking(&rig, &json!({"stream": true}));
    let job = worker.take(false).await.ok();
    let id = job["id"].as_str().unwrap();
    worker.chunk(id, &json!(1)).await;
    worker.done(id, &json!({"error": "it broke"})).await;
    let (status, _, text) = answer.await.unwrap();
    assert!(
        status == 200 && text.contains("\"message\":\"it broke\"") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_job() {
    let rig = Rig::new().await;
    let worker = rig.worker("w1");
    let asking = rig.posting(CHAT, &json!({}));
    let job = worker.take(false).await.ok();
    asking.abort();
    assert_eq!(worker.stops().await.ok(), json!({"jobsToStop": [job["id"]]}));
    assert!(!rig.violations().contains(&ViolationKind::UnknownJob));
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let rig = Rig::new().await;
    for body in [json!([1]), json!("hi")] {
        rig.post(CHAT, body).await.error(400);
    }
    assert_eq!(rig.platform.snapshot("ep").unwrap().in_queue, 0);
}
