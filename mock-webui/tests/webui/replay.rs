//! The recorded answers of the real server, replayed against the mock.
//!
//! Every recording is sent again to a mock set up like the recorded server. Status, content type, the keys
//! and their order, texts, and the number and size of pictures must agree. Random seeds, time stamps and
//! digests are masked first.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mock_webui::{Fault, MockWebUi, Model, Profile, Relief};
use serde_json::{Map, Value, json};

const DIGEST: &str = "72897b720f8a52f8163a25a51949824873d787797d033a8efdb064d45302118c";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/webui")
}

/// Cases that need more than one request to be replayed, or a part of the server that is not imitated.
const NOT_REPLAYED: [(&str, &str); 3] = [
    ("startup", "has a shape of its own; start-up has tests of its own"),
    ("txt2img-minimal.png.chunks", "describes a picture, not a request"),
    (
        "get-progress",
        "depends on the jobs before it; see the tests of progress",
    ),
];

struct Recording {
    name: String,
    request: Value,
    response: Value,
}

/// The recordings of one folder, in the order they were made: settings leak from one into the next.
fn recordings(folder: &str) -> Vec<Recording> {
    let mut found: Vec<(String, Recording)> = std::fs::read_dir(fixtures().join(folder))
        .expect("the recordings are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            if NOT_REPLAYED.iter().any(|(skipped, _)| *skipped == name) {
                return None;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            let mut case: Value = serde_json::from_str(&text).expect("a recording is JSON");
            let date = case["response"]["headers"]["date"].as_str()?.to_owned();
            let (mut request, response) = (case["request"].take(), case["response"].take());
            // The recording leaves out the right credentials, but not that they were sent.
            request["credentials"] = json!(name == "auth-right");
            Some((
                date,
                Recording {
                    name,
                    request,
                    response,
                },
            ))
        })
        .collect();
    found.sort_by_key(|(date, case)| (date.clone(), turn(&case.name)));
    found.into_iter().map(|(_, recording)| recording).collect()
}

/// The recorded server had a script that raised exceptions. Here the fault is armed, and the script left out.
fn arm(webui: &MockWebUi, case: &Recording) -> Value {
    let mut request = case.request.clone();
    let body = request
        .get_mut("json")
        .and_then(Value::as_object_mut)
        .filter(|body| body.get("script_name") == Some(&json!("golden fault")));
    if let Some(body) = body {
        webui.inject(match case.name.as_str() {
            "fault-cuda-oom" => Fault::out_of_memory(Relief::Once),
            _ => Fault::exception("RuntimeError", "boom"),
        });
        body.shift_remove("script_name");
        body.shift_remove("script_args");
    }
    request
}

/// Brings a recorded answer to what it would be without the recorder's own script, and with a clock that
/// went a little differently.
fn without_the_recorder(value: &Value) -> Value {
    let mut value = value.clone();
    for kind in ["txt2img", "img2img"] {
        if let Some(titles) = value.get_mut(kind).and_then(Value::as_array_mut) {
            titles.retain(|title| title != "golden fault");
        }
    }
    if value.get("eta_relative").is_some() {
        value["eta_relative"] = json!("<seconds>");
        value["state"]["job_timestamp"] = json!("<time>");
    }
    // The recording keeps the first 400 characters of a page.
    if let Some(page) = value.as_str() {
        value = json!(page.chars().take(400).collect::<String>());
    }
    value
}

/// Dates have whole seconds. Those made within one were made in the order of their names, but for a few that
/// look at what others left behind.
fn turn(name: &str) -> (usize, String) {
    const LAST: [&str; 4] = [
        "extras-unknown",
        "interrupt-idle",
        "progress-after-idle",
        "txt2img-after-idle",
    ];
    let place = LAST
        .iter()
        .position(|start| name.starts_with(start))
        .map_or(0, |place| place + 1);
    (place, name.replace("ok-repair", "ok-zz"))
}

async fn send(webui: &MockWebUi, request: &Value) -> reqwest::Response {
    let url = format!("{}{}", webui.url(), request["path"].as_str().expect("a path"));
    let method = request["method"]
        .as_str()
        .expect("a method")
        .parse()
        .expect("a known method");
    let mut call = reqwest::Client::new().request(method, url);
    if request["credentials"] == true {
        call = call.basic_auth("user", Some("pass"));
    }
    for (name, value) in request["headers"].as_object().unwrap_or(&Map::new()) {
        call = call.header(name, value.as_str().expect("a header is text"));
    }
    if let Some(body) = request.get("json") {
        call = call.json(&with_real_picture(body));
    } else if let Some(raw) = request["raw"].as_str() {
        call = call
            .header("content-type", "application/json")
            .body(raw.to_owned());
    }
    call.send().await.expect("the mock answers")
}

/// A recording stands in for a long picture with a placeholder; the file itself lies beside it.
fn with_real_picture(body: &Value) -> Value {
    let mut body = body.clone();
    if body["image"]
        .as_str()
        .is_some_and(|text| text.starts_with("<base64"))
    {
        let file = std::fs::read(fixtures().join("v1.10.1/txt2img-minimal.png")).expect("the picture");
        body["image"] = json!(STANDARD.encode(file));
    }
    body
}

/// Replaces what differs between two runs of the real server, too.
fn masked(value: &Value, request: &Value) -> Value {
    let mut value = without_the_recorder(value);
    if let Some(info) = value["info"].as_str().filter(|_| value["images"].is_array()) {
        // Key order and separators are part of the comparison, so the string is only patched.
        let parsed: Value = serde_json::from_str(info).expect("info is JSON");
        let mut patched = info.to_owned();
        let sent = |name: &str| request["json"][name].as_i64().is_some_and(|seed| seed != -1);
        for (name, all) in [("seed", "all_seeds"), ("subseed", "all_subseeds")] {
            if !sent(name) {
                for (index, seed) in parsed[all].as_array().expect("a list").iter().enumerate() {
                    patched = patched.replace(&seed.to_string(), &format!("<{name} {index}>"));
                }
            }
        }
        patched = patched.replace(parsed["job_timestamp"].as_str().expect("a text"), "<time>");
        value["info"] = json!(patched);
    }
    mask_pictures(&mut value);
    value
}

/// A picture becomes its format and size: `png 64x64`.
fn mask_pictures(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("<base64 ") => {
            let words: Vec<&str> = text.trim_start_matches("<base64 ").split([' ', ',']).collect();
            *value = json!(format!("{} {}", words[0], words[1]));
        }
        Value::String(text) if text.starts_with("iVBOR") => {
            let bytes = STANDARD.decode(&*text).expect("base64");
            let (width, height) = crate::support::read_png(&bytes).size;
            *value = json!(format!("png {width}x{height}"));
        }
        Value::Array(items) => items.iter_mut().for_each(mask_pictures),
        Value::Object(entries) => entries.values_mut().for_each(mask_pictures),
        _ => {}
    }
}

/// What is compared, as text, so that key order counts.
fn comparable(status: u16, content_type: &str, body: &Value) -> String {
    format!(
        "{status} {content_type}\n{}",
        serde_json::to_string_pretty(body).expect("serialises")
    )
}

async fn replay(folder: &str, webui: &MockWebUi) {
    let mut report = String::new();
    let cases = recordings(folder);
    assert!(!cases.is_empty(), "no recordings in {folder}");
    for case in &cases {
        let headers = &case.response["headers"];
        let recorded_body = case.response.get("json").or_else(|| case.response.get("text"));
        let recorded = comparable(
            u16::try_from(case.response["status"].as_u64().expect("a status")).expect("a status"),
            headers["content-type"].as_str().unwrap_or_default(),
            &masked(recorded_body.unwrap_or(&Value::Null), &case.request),
        );
        let response = send(webui, &arm(webui, case)).await;
        let status = response.status().as_u16();
        let kind = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        for name in ["allow", "access-control-allow-credentials", "content-encoding"] {
            let seen = response.headers().get(name).and_then(|value| value.to_str().ok());
            if seen != headers[name].as_str() {
                writeln!(report, "== {}: header {name} is {seen:?}", case.name).expect("a string");
            }
        }
        let timed = response.headers().contains_key("x-process-time");
        if timed != headers.get("x-process-time").is_some() {
            writeln!(report, "== {}: x-process-time present: {timed}", case.name).expect("a string");
        }
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let seen = comparable(status, &kind, &masked(&body, &case.request));
        if seen != recorded {
            writeln!(report, "== {}\n{}", case.name, difference(&recorded, &seen)).expect("a string");
        }
    }
    assert!(
        report.is_empty(),
        "the mock differs from the recordings of {folder}:\n{report}"
    );
}

/// The lines that differ, recorded first.
fn difference(recorded: &str, seen: &str) -> String {
    let (recorded, seen): (Vec<_>, Vec<_>) = (recorded.lines().collect(), seen.lines().collect());
    let start = recorded.iter().zip(&seen).take_while(|(a, b)| a == b).count();
    let show = |lines: &[&str], sign: &str| {
        lines[start..]
            .iter()
            .take(6)
            .flat_map(|line| [sign, " ", line, "\n"])
            .collect::<String>()
    };
    show(&recorded, "-") + &show(&seen, "+")
}

fn tiny() -> Model {
    Model::new("tiny-random").config()
}

#[tokio::test]
async fn the_recordings_of_1_10_1_are_answered_alike() {
    let webui = MockWebUi::builder().models([tiny().sha256(DIGEST)]).start().await;
    replay("v1.10.1", &webui).await;
}

#[tokio::test]
async fn the_recordings_of_1_9_3_are_answered_alike() {
    let webui = MockWebUi::builder()
        .profile(Profile::V1_9_3)
        .models([tiny()])
        .start()
        .await;
    replay("v1.9.3", &webui).await;
}

#[tokio::test]
async fn the_recordings_with_credentials_are_answered_alike() {
    let webui = MockWebUi::builder()
        .models([tiny()])
        .credentials("user", "pass")
        .start()
        .await;
    replay("v1.10.1/auth", &webui).await;
}

#[tokio::test]
async fn the_recordings_without_a_checkpoint_are_answered_alike() {
    let webui = MockWebUi::builder().models([]).start().await;
    replay("v1.10.1/no-model", &webui).await;
}
