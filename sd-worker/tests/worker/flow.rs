//! The reference flow (`docs/protocol/request-flow.md`): one request, seen from all sides.

use mock_webui::{MockWebUi, Profile};
use runpod_sdk::client::JobHandle;
use serde_json::{Value, json};

use crate::support::wire::Message;
use crate::support::{EXAMPLE, Stage, Tap, soon, told};

/// Pictures, ids, times and random numbers are different every time.
fn redacted() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r#""images":\["[A-Za-z0-9+/=]{1000,}"\]"#, r#""images":["<PNG>"]"#),
        (r"content-length: \d{4,}", "content-length: <length>"),
        (r"date: .*", "date: <date>"),
        (r"x-process-time: [\d.]+", "x-process-time: <seconds>"),
        (r"(127\.0\.0\.1|localhost):\d+", "<webui>"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}(-[a-z]\d)?", "<job>"),
        (r#"(seeds?\\*": \[?)\d+"#, "$1<seed>"),
        (r"Seed: \d+", "Seed: <seed>"),
        (r#"(job_timestamp\\*": \\*")\d+"#, "$1<time>"),
        (r"received=\S+", "received=<time>"),
        (r"=\+[\d.]+ms", "=+<ms>"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings
}

fn text(message: &Message) -> String {
    let head = message.head.replace("\r\n", "\n");
    format!("{}\n{}", head.trim_end(), String::from_utf8_lossy(&message.body))
}

#[tokio::test]
async fn the_example_event_travels_the_whole_way() {
    let webui = MockWebUi::start().await;
    let tap = Tap::before(webui.address()).await;
    // On a busy machine the render takes long enough to be looked at, which would be one more line or more.
    let quiet = [
        ("SD_WORKER_PROGRESS_INTERVAL", "0"),
        ("SD_WORKER_STALL_AFTER", "0"),
    ];
    let stage = Stage::with(&format!("http://{}", tap.address), &quiet).await;

    let report = stage.run(EXAMPLE).await;
    let timeline = stage.worker.says("job timeline").await;

    let (request, answer) = tap.render();
    let calls = stage.platform.recorded_calls();
    let call = |part: &str| {
        let call = calls
            .iter()
            .find(|call| call.path_and_query.contains(part))
            .unwrap();
        format!(
            "{} {}\n{}",
            call.method,
            call.path_and_query,
            String::from_utf8_lossy(&call.body)
        )
    };
    // Where it is passed on it is the same: the reader need not compare three thousand characters.
    let whole = String::from_utf8(answer.body.clone()).unwrap();
    let passed_on = |text: String| text.replace(&whole, "<the WebUI's answer, byte for byte>");
    let asked: Vec<String> = webui
        .stubs()
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| format!("{} {}", request.method, request.url.path()))
        .collect();
    let output = String::from_utf8(report.raw_output().unwrap().to_vec()).unwrap();
    let sections = [
        ("THE CLIENT SENDS", call("/run")),
        ("THE WEBUI IS ASKED", asked.join("\n")),
        ("THE WEBUI RECEIVES", text(&request)),
        ("THE WEBUI ANSWERS", text(&answer)),
        ("THE PLATFORM GETS", passed_on(call("/job-done/"))),
        (
            "THE CLIENT READS",
            format!("{}\n{}", report.status, passed_on(output)),
        ),
        ("THE WORKER LOGS", timeline),
    ];
    let seen: Vec<String> = sections.map(|(title, text)| format!("{title}\n{text}\n")).into();
    let seen = seen.join("\n");
    redacted().bind(|| insta::assert_snapshot!(seen));

    assert_eq!(stage.platform.violations().len(), 0);
}

#[tokio::test]
async fn the_example_event_is_unchanged_on_the_wire() {
    let webui = MockWebUi::start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    let output = stage.complete(EXAMPLE).await;
    let (request, answer) = tap.render();
    assert_eq!(request.body, EXAMPLE.as_bytes());
    assert_eq!(output, answer.body);
}

#[tokio::test]
async fn connections_to_the_webui_are_kept() {
    let webui = MockWebUi::start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    for _ in 0..2 {
        stage.complete(EXAMPLE).await;
    }
    let requests = tap.requests();
    assert!(requests.iter().any(|carried| *carried > 1), "{requests:?}");
}

/// Neither jobs nor renders go through a proxy, whatever the pod's environment says.
#[tokio::test]
async fn a_proxy_that_is_dead_changes_nothing() {
    // Bound and never listened to: whoever connects is refused, and nobody else gets the port.
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = format!("http://{}", dead.local_addr().unwrap());
    let variables = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ]
    .map(|name| (name, proxy.as_str()));
    let webui = MockWebUi::start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::with(&format!("http://{}", tap.address), &variables).await;
    let output = stage.complete(EXAMPLE).await;
    let (request, answer) = tap.render();
    assert_eq!(request.body, EXAMPLE.as_bytes());
    assert_eq!(output, answer.body);
    let heartbeats = |call: &runpod_sdk::local::RecordedCall| call.path_and_query.contains("/ping/");
    assert!(stage.platform.recorded_calls().iter().any(heartbeats));
}

#[tokio::test]
async fn credentials_and_a_path_are_used_for_every_request() {
    let webui = MockWebUi::builder()
        .credentials("anna", "hunter2")
        .prefix("/webui")
        .start()
        .await;
    let variables = [
        ("SD_WORKER_WEBUI_AUTH", "anna:hunter2"),
        ("RUNPOD_LOG_LEVEL", "DEBUG"),
    ];
    let stage = Stage::with(webui.url(), &variables).await;
    stage.complete(EXAMPLE).await;
    assert!(!stage.worker.log().contains("hunter2"), "{}", stage.worker.log());
}

#[tokio::test]
async fn version_1_9_gets_sampler_and_scheduler_apart() {
    let webui = MockWebUi::builder().profile(Profile::V1_9_3).start().await;
    let tap = Tap::before(webui.address()).await;
    let stage = Stage::new(&format!("http://{}", tap.address)).await;
    stage.complete(EXAMPLE).await;

    let (sent, _) = tap.render();
    let expected = EXAMPLE.replace(r#""DPM++ 2M Karras""#, r#""DPM++ 2M", "scheduler": "Karras""#);
    assert_eq!(String::from_utf8(sent.body).unwrap(), expected);
    stage.worker.says("sending sampler and scheduler apart").await;
}

#[tokio::test]
async fn version_1_8_knows_the_name() {
    let webui = MockWebUi::builder().profile(Profile::V1_8).start().await;
    let stage = Stage::new(webui.url()).await;
    let output: Value = serde_json::from_slice(&stage.complete(EXAMPLE).await).unwrap();
    assert_eq!(output["parameters"]["sampler_name"], "DPM++ 2M Karras");
}

#[tokio::test]
async fn progress_is_seen_by_the_client_and_never_goes_back() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_PROGRESS_INTERVAL", "20ms")]).await;
    let job = stage.submit(EXAMPLE).await;
    let mut seen: Vec<Value> = Vec::new();
    for step in [5, 10, 15] {
        soon(webui.gpu().advance(5)).await;
        seen.push(told(&job, |update| update["step"] == step).await);
    }
    let steps: Vec<_> = seen
        .iter()
        .map(|update| (&update["step"], &update["percent"]))
        .collect();
    assert_eq!(
        steps,
        [
            (&Value::from(5), &Value::from(21)),
            (&Value::from(10), &Value::from(41)),
            (&Value::from(15), &Value::from(61))
        ]
    );
    assert!(
        seen.iter()
            .all(|update| update["phase"] == "sampling" && update["steps"] == 25)
    );
    soon(webui.gpu().advance(10)).await;
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
}

/// Everything that was told of a job before its result, in order.
fn updates(stage: &Stage, job: &JobHandle) -> Vec<Value> {
    stage
        .platform
        .recorded_calls()
        .iter()
        .filter(|call| call.path_and_query.contains(job.id()))
        .filter_map(|call| serde_json::from_slice::<Value>(&call.body).ok())
        .filter(|body| body["status"] == "IN_PROGRESS")
        .map(|body| body["output"].clone())
        .collect()
}

#[tokio::test]
async fn what_a_failed_upscaling_left_behind_is_not_told_of_the_render_after_it() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_PROGRESS_INTERVAL", "20ms")]).await;
    let payload = json!({ "image": crate::support::png_64(), "upscaler_1": "nope" });
    let upscaling = json!({ "api": { "endpoint": "extra-single-image" }, "payload": payload });
    stage.fail(&upscaling.to_string()).await;
    let left = webui.gpu().progress();
    assert_eq!(
        (left.job_count, left.job_no),
        (1, 1),
        "as if it were done: {left:?}"
    );

    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().advance(5)).await;
    let seen = told(&job, |update| update["step"] == 5).await;
    assert_eq!(
        (&seen["phase"], &seen["percent"]),
        (&json!("sampling"), &json!(21))
    );
    soon(webui.gpu().advance(20)).await;
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
    let percents: Vec<u64> = updates(&stage, &job)
        .iter()
        .map(|update| update["percent"].as_u64().unwrap())
        .collect();
    assert!(
        percents.is_sorted() && percents.first() <= Some(&21),
        "{percents:?}"
    );
    // The result may overtake the last update, which says that all is done.
    let whole = percents.iter().filter(|percent| **percent == 100).count();
    assert!(whole <= 1, "{percents:?}");
}

#[tokio::test]
async fn the_second_pass_of_hires_fix_is_the_second_half() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), &[("SD_WORKER_PROGRESS_INTERVAL", "20ms")]).await;
    let job = stage
        .submit(r#"{"prompt": "x", "steps": 10, "width": 64, "height": 64, "enable_hr": true, "denoising_strength": 0.5, "hr_second_pass_steps": 20}"#)
        .await;
    soon(webui.gpu().advance(5)).await;
    let first = told(&job, |update| update["step"] == 5).await;
    soon(webui.gpu().advance(10)).await;
    let second = told(&job, |update| {
        update["phase"] == "upscaling" && update["step"] == 5
    })
    .await;
    let parts = |update: &Value| {
        ["phase", "percent", "step", "steps", "image", "images"].map(|key| update[key].clone())
    };
    assert_eq!(
        json!([parts(&first), parts(&second)]),
        json!([["sampling", 26, 5, 10, 1, 1], ["upscaling", 63, 5, 20, 1, 1],])
    );
    soon(webui.gpu().advance(15)).await;
    assert_eq!(soon(job.wait()).await.unwrap().status.as_str(), "COMPLETED");
}

/// The update of the twelfth step, from a worker with these variables.
async fn update_of_a_render(variables: &[(&str, &str)]) -> Value {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let stage = Stage::with(webui.url(), variables).await;
    let job = stage.submit(EXAMPLE).await;
    soon(webui.gpu().rendering()).await;
    soon(webui.gpu().advance(12)).await;
    told(&job, |update| update["step"] == 12).await
}

#[tokio::test]
async fn a_preview_is_shown_where_it_is_wanted_and_small_enough() {
    let often = ("SD_WORKER_PROGRESS_INTERVAL", "20ms");
    let wanted = ("SD_WORKER_PREVIEW", "true");
    let update = update_of_a_render(&[often, wanted]).await;
    let preview = update["preview"].as_str().unwrap();
    assert!(preview.starts_with("iVBOR"), "the base64 of a PNG");

    let update = update_of_a_render(&[often, wanted, ("TUNING", "preview_limit=10")]).await;
    assert_eq!(update["preview"], Value::Null, "too large");
    let update = update_of_a_render(&[often]).await;
    assert_eq!(update["preview"], Value::Null, "not wanted");
}
