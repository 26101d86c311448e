//! Each fault, as a client meets it.

use std::io::ErrorKind;
use std::time::Duration;

use mock_webui::{ClearedBy, Fault, Lora, MockWebUi, Model, Phase, Scenario};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{get, info, picture, post, render, small, start};

async fn broken_by(fault: Fault) -> MockWebUi {
    MockWebUi::builder().fault(fault).start().await
}

/// Longer than anything takes, however busy the machine is.
const A_LONG_TIME: Duration = Duration::from_secs(30);

/// The raw bytes of an answer, up to the end of the connection, or until half of it came and then nothing.
struct Raw {
    bytes: Vec<u8>,
    ended: bool,
}

/// Sends a render and reads what comes. `patience` is how long a pause may last once bytes have come.
async fn raw_render(webui: &MockWebUi, patience: Duration) -> Raw {
    let body = small("x", 1).to_string();
    let mut stream = TcpStream::connect(webui.address()).await.expect("connects");
    let request = format!(
        "POST /sdapi/v1/txt2img HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut raw = Raw {
        bytes: Vec::new(),
        ended: false,
    };
    let mut part = [0; 4096];
    loop {
        let pause = if raw.bytes.is_empty() {
            A_LONG_TIME
        } else {
            patience
        };
        let Ok(read) = tokio::time::timeout(pause, stream.read(&mut part)).await else {
            break;
        };
        match read {
            Ok(0) => {
                raw.ended = true;
                break;
            }
            Ok(count) => raw.bytes.extend(&part[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                raw.ended = true;
                break;
            }
        }
    }
    raw
}

fn announced(raw: &Raw) -> usize {
    let text = String::from_utf8_lossy(&raw.bytes);
    let (_, rest) = text.split_once("content-length: ").expect("a length");
    rest.split("\r\n")
        .next()
        .expect("a line")
        .parse()
        .expect("a number")
}

#[tokio::test]
async fn a_proxy_answers_in_place_of_the_server_as_often_as_asked() {
    let webui = broken_by(Fault::status(502).times(2)).await;
    for expected in [502, 502, 200] {
        assert_eq!(post(&webui, "txt2img", &small("x", 1)).await.status(), expected);
    }
    assert_eq!(
        webui.gpu().renders(),
        1,
        "the refused requests did not reach the card"
    );
    let seen = webui.stubs().received_requests().await.expect("recording is on");
    assert_eq!(seen.len(), 3, "but they are recorded");
}

#[tokio::test]
async fn a_plain_text_500_is_not_json() {
    let webui = broken_by(Fault::plain_text_500()).await;
    let response = post(&webui, "txt2img", &small("x", 1)).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.text().await.expect("a body"), "Internal Server Error");
}

async fn error_class(webui: &MockWebUi) -> Option<String> {
    let answer: Value = post(webui, "txt2img", &small("x", 1))
        .await
        .json()
        .await
        .expect("JSON");
    answer["error"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_full_card_stays_full_until_what_the_fault_names() {
    let oom = Some("OutOfMemoryError".to_owned());
    let once = broken_by(Fault::out_of_memory(ClearedBy::Once)).await;
    assert_eq!(
        (error_class(&once).await, error_class(&once).await),
        (oom.clone(), None)
    );

    let until_unload = broken_by(Fault::out_of_memory(ClearedBy::Unload)).await;
    assert_eq!(
        (error_class(&until_unload).await, error_class(&until_unload).await),
        (oom.clone(), oom.clone())
    );
    post(&until_unload, "unload-checkpoint", &json!({})).await;
    assert_eq!(error_class(&until_unload).await, None);

    let until_restart = broken_by(Fault::out_of_memory(ClearedBy::Restart)).await;
    assert_eq!(error_class(&until_restart).await, oom);
    post(&until_restart, "unload-checkpoint", &json!({})).await;
    assert_eq!(error_class(&until_restart).await, oom);
    until_restart.restart().await;
    assert_eq!(error_class(&until_restart).await, None);
}

#[tokio::test]
async fn a_picture_that_is_not_a_number_fails_after_all_steps() {
    let webui = broken_by(Fault::nan()).await;
    assert_eq!(error_class(&webui).await.as_deref(), Some("NansException"));
    assert_eq!(webui.gpu().steps_done(), 1);
}

#[tokio::test]
async fn model_switches_leak_until_the_card_is_full() {
    let webui = MockWebUi::builder()
        .models([Model::new("a"), Model::new("b")])
        .fault(Fault::leak_per_model_switch(4.0))
        .start()
        .await;
    let mut failed_after = None;
    for turn in 0..10 {
        let name = if turn % 2 == 0 { "b" } else { "a" };
        post(&webui, "options", &json!({ "sd_model_checkpoint": name })).await;
        if error_class(&webui).await.is_some() {
            failed_after = Some(turn + 1);
            break;
        }
    }
    assert_eq!(failed_after, Some(5));
}

#[tokio::test]
async fn a_lora_can_be_ignored_and_nothing_says_so() {
    let builder = || MockWebUi::builder().loras([Lora::new("style", "0123456789ab")]);
    let request = small("x <lora:style:1>", 1);
    let applied = render(&builder().start().await, &request).await;
    let ignored = render(&builder().fault(Fault::ignore_lora()).start().await, &request).await;
    let text = |answer: &Value| info(answer)["infotexts"][0].as_str().expect("a text").to_owned();
    assert!(
        text(&applied).contains("Lora hashes: \"style: 0123456789ab\""),
        "{}",
        text(&applied)
    );
    assert!(!text(&ignored).contains("Lora hashes"));
    assert_ne!(picture(&applied, 0), picture(&ignored, 0));
}

#[tokio::test]
async fn the_wrong_model_renders_and_the_infotext_gives_it_away() {
    let builder = MockWebUi::builder().models([Model::new("a"), Model::new("b")]);
    let webui = builder.fault(Fault::wrong_model()).start().await;
    let switched = post(&webui, "options", &json!({ "sd_model_checkpoint": "b" })).await;
    assert_eq!(switched.status(), StatusCode::OK);
    assert_eq!(
        get(&webui, "options").await["sd_model_checkpoint"],
        json!("b.safetensors")
    );
    assert_eq!(
        info(&render(&webui, &small("x", 1)).await)["sd_model_name"],
        json!("a")
    );
}

#[tokio::test]
async fn a_process_that_dies_takes_its_port_and_its_renders_with_it() {
    let webui = broken_by(Fault::die_at(3)).await;
    let error = crate::support::client()
        .post(format!("{}/sdapi/v1/txt2img", webui.url()))
        .json(&small("x", 10))
        .send()
        .await
        .expect_err("no answer");
    assert!(!error.is_connect(), "{error:?}");
    webui.set_phase(Phase::Refusing).await;
    let refused = TcpStream::connect(webui.address()).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    webui.gpu().idle().await;
    webui.restart().await;
    assert_eq!(
        get(&webui, "progress").await["state"]["job_timestamp"],
        json!("0")
    );
    render(&webui, &small("x", 1)).await;
}

#[tokio::test]
async fn a_stalled_render_goes_on_only_when_it_is_interrupted() {
    let webui = broken_by(Fault::stall_at(3)).await;
    let job = start(&webui, &small("x", 10));
    webui.gpu().begun(1).await;
    while webui.gpu().steps_done() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&webui, "progress").await["state"]["sampling_step"], json!(3));
    post(&webui, "interrupt", &json!({})).await;
    assert!(job.await.expect("answered")["images"].is_array());
    assert_eq!(webui.gpu().steps_done(), 3);
}

#[tokio::test]
async fn a_render_that_hangs_ends_with_its_process() {
    let webui = broken_by(Fault::hang_at(3)).await;
    let hanging = tokio::spawn(
        crate::support::client()
            .post(format!("{}/sdapi/v1/txt2img", webui.url()))
            .json(&small("x", 10))
            .send(),
    );
    webui.gpu().begun(1).await;
    post(&webui, "interrupt", &json!({})).await;
    post(&webui, "interrupt", &json!({})).await;
    assert!(!hanging.is_finished());
    webui.restart().await;
    hanging.await.expect("no panic").expect_err("no answer");
    render(&webui, &small("x", 1)).await;
}

#[tokio::test]
async fn pictures_are_saved_where_the_server_was_told_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let webui = MockWebUi::builder().save_to(directory.path()).start().await;
    let mut request = small("x", 1);
    request["batch_size"] = json!(2);
    request["seed"] = json!(7);
    render(&webui, &request).await;
    assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 0);

    request["save_images"] = json!(true);
    let answer = render(&webui, &request).await;
    let names = |kind: &str| {
        let mut names = Vec::new();
        for day in std::fs::read_dir(directory.path().join(kind)).expect("saved") {
            for file in std::fs::read_dir(day.expect("a day").path()).expect("a directory") {
                names.push(file.expect("a file").file_name().into_string().expect("text"));
            }
        }
        names.sort();
        names
    };
    assert_eq!(names("txt2img-images"), ["00000-7.png", "00001-8.png"]);
    assert_eq!(names("txt2img-grids"), ["grid-0000.png"]);
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_connection_can_end_after_the_render_or_in_the_middle_of_it() {
    let after = broken_by(Fault::drop_after_generate()).await;
    let raw = raw_render(&after, A_LONG_TIME).await;
    assert!(raw.ended && raw.bytes.is_empty());
    assert_eq!(after.gpu().renders(), 1);

    let middle = MockWebUi::builder()
        .manual_clock()
        .fault(Fault::drop_mid_step(2))
        .start()
        .await;
    let request = crate::support::client()
        .post(format!("{}/sdapi/v1/txt2img", middle.url()))
        .json(&small("x", 5))
        .send();
    let request = tokio::spawn(request);
    middle.gpu().advance(2).await;
    assert!(request.await.expect("ran").is_err());
    assert_eq!(middle.gpu().advance(3).await, 3, "the render goes on");
}

#[tokio::test]
async fn half_json_is_a_complete_answer_that_does_not_parse() {
    let webui = broken_by(Fault::half_json()).await;
    let response = post(&webui, "txt2img", &small("x", 1)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.expect("a complete body");
    assert!(serde_json::from_str::<Value>(&text).is_err() && text.starts_with("{\"images\""));
}

#[tokio::test]
async fn a_body_can_be_cut_half_closed_or_stalled_short_of_its_length() {
    for (fault, ends) in [
        (Fault::cut_body(), true),
        (Fault::half_close(), true),
        (Fault::stall_body(), false),
    ] {
        let webui = broken_by(fault.clone()).await;
        // Only a stall is recognised by the absence of something.
        let patience = if ends {
            A_LONG_TIME
        } else {
            Duration::from_millis(300)
        };
        let raw = raw_render(&webui, patience).await;
        assert_eq!(raw.ended, ends, "{fault:?}");
        assert!(raw.bytes.starts_with(b"HTTP/1.1 200 OK"), "{fault:?}");
        assert!(raw.bytes.len() < announced(&raw), "{fault:?}");
        render(&webui, &small("x", 1)).await;
    }
}

#[tokio::test]
async fn garbage_is_not_http() {
    let webui = broken_by(Fault::garbage()).await;
    let raw = raw_render(&webui, A_LONG_TIME).await;
    assert!(raw.ended && !raw.bytes.is_empty() && !raw.bytes.starts_with(b"HTTP"));
}

#[tokio::test]
async fn a_slow_drip_arrives_whole_and_late() {
    let webui = broken_by(Fault::slow_drip(2_000, Duration::from_millis(5))).await;
    let begun = std::time::Instant::now();
    let answer = render(&webui, &small("x", 1)).await;
    let size = answer.to_string().len();
    let pauses = u32::try_from(size / 2_000).expect("a small number");
    assert!(
        begun.elapsed() >= Duration::from_millis(5) * pauses.saturating_sub(1),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn faults_can_be_armed_and_taken_away_while_the_server_runs() {
    let webui = MockWebUi::start().await;
    let admin = format!("{}/__mock/faults", webui.url());
    let fault = json!({ "kind": "status", "status": 504, "times": 0, "on": "/sdapi/v1/sd-models" });
    let armed: Value = crate::support::client()
        .post(&admin)
        .json(&fault)
        .send()
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    assert_eq!(armed.as_array().map(Vec::len), Some(1));
    let models = format!("{}/sdapi/v1/sd-models", webui.url());
    assert_eq!(
        crate::support::fetch(&models).await.expect("answered").status(),
        504
    );
    crate::support::client()
        .delete(&admin)
        .send()
        .await
        .expect("answered");
    assert_eq!(
        crate::support::fetch(&models).await.expect("answered").status(),
        200
    );
    let mistake = crate::support::client()
        .post(&admin)
        .body("{\"kind\":\"nope\"}")
        .send()
        .await
        .expect("answered");
    assert_eq!(mistake.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_admin_route_shows_and_moves_the_card_and_changes_the_phase() {
    let webui = MockWebUi::builder().manual_clock().prefix("sd").start().await;
    let base = webui.url().trim_end_matches("/sd").to_owned();
    let call = async |route: &str, body: Value| -> Value {
        let url = format!("{base}/__mock/{route}");
        let request = if body.is_null() {
            crate::support::client().get(url)
        } else {
            crate::support::client().post(url).json(&body)
        };
        request
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON")
    };
    let job = start(&webui, &small("x", 4));
    assert_eq!(
        call("advance", json!({ "steps": 3 })).await,
        json!({ "steps": 3 })
    );
    let seen = call("gpu", Value::Null).await;
    assert_eq!(
        (&seen["sampling_step"], &seen["queued"], &seen["phase"]),
        (&json!(3), &json!(1), &json!("ready"))
    );
    call("advance", json!({ "steps": 1 })).await;
    job.await.expect("answered");
    call("phase", json!({ "phase": "refusing" })).await;
    while webui.phase() != Phase::Refusing {
        tokio::task::yield_now().await;
    }
    webui.set_phase(Phase::Ready).await;
    webui.listening().await;
    assert!(
        call("nope", Value::Null).await["error"]
            .as_str()
            .expect("a text")
            .contains("GET gpu")
    );
}

#[tokio::test]
async fn a_scenario_strikes_the_same_requests_at_every_run() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let scenario: Scenario =
            r#"{ "seed": 7, "faults": [{ "kind": "status", "status": 503, "chance": 0.5, "times": 0 }] }"#
                .parse()
                .expect("a scenario");
        let webui = MockWebUi::builder().scenario(scenario).start().await;
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(post(&webui, "txt2img", &small("x", 1)).await.status().as_u16());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&503) && runs[0].contains(&200), "{:?}", runs[0]);
}
