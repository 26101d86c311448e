//! Every answer that was recorded from real servers, and those of related servers, has its verdict.

use reqwest::Method;
use runpod_sdk::json::RawJson;

use super::*;
use crate::webui::JobKind;

/// A request that was refused, and the answer.
struct Recorded {
    name: String,
    call: Call,
    status: u16,
    body: Vec<u8>,
}

impl Recorded {
    fn verdict(&self) -> WebUiError {
        WebUiError::refused(self.status, &self.body).about(&self.call)
    }

    fn described(&self) -> String {
        let error = self.verdict();
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        let code = error.code();
        format!("{}\n    {} {:?}: {message}", self.name, code.code(), code.class())
    }
}

fn recorded() -> Vec<Recorded> {
    let mut found = Vec::new();
    let root = format!("{}/../tests/fixtures/webui", env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![std::path::PathBuf::from(&root)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let name = path
                    .with_extension("")
                    .strip_prefix(&root)
                    .unwrap()
                    .display()
                    .to_string();
                let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                found.extend(refused(name, &case));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn refused(name: String, case: &Value) -> Option<Recorded> {
    let (request, response) = (&case["request"], &case["response"]);
    let status = u16::try_from(response["status"].as_u64()?).unwrap();
    let body = match (&response["json"], &response["text"]) {
        (Value::Null, Value::String(text)) => text.clone().into_bytes(),
        (json, _) => json.to_string().into_bytes(),
    };
    let sent = match &request["json"] {
        Value::Null => None,
        json => Some(RawJson::from(json.clone())),
    };
    let call = Call {
        method: Method::POST,
        route: request["path"].as_str()?.to_owned().into(),
        body: sent,
        job_kind: JobKind::Nothing,
    };
    (status >= 400).then_some(Recorded {
        name,
        call,
        status,
        body,
    })
}

#[test]
fn every_recorded_refusal_has_its_verdict() {
    let verdicts: Vec<String> = recorded().iter().map(Recorded::described).collect();
    assert!(verdicts.len() > 30, "{}", verdicts.len());
    insta::assert_snapshot!(verdicts.join("\n"));
}

#[test]
fn every_refusal_tells_what_to_do() {
    for case in recorded() {
        let error = case.verdict();
        assert!(error.hint().is_some(), "{}", case.name);
        assert_eq!(error.details().unwrap()["status"], case.status, "{}", case.name);
    }
}

/// Answers of related servers and of proxies before them (`docs/protocol/webui-api.md` §10, §12).
const RELATIVES: &[(&str, u16, &str)] = &[
    (
        "Forge, a deliberate error",
        404,
        r#"{"detail":"Init image not found"}"#,
    ),
    ("Forge, an unexpected error", 500, "Internal Server Error"),
    (
        "Forge, a wrong type",
        422,
        r#"{"detail":[{"type":"int_parsing","loc":["body","steps"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"a secret prompt"}]}"#,
    ),
    (
        "Forge, malformed JSON",
        422,
        r#"{"detail":[{"type":"json_invalid","loc":["body",15],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]}"#,
    ),
    ("SD.Next, no picture", 400, r#"{"error":"Init image is none"}"#),
    (
        "SD.Next, five keys",
        500,
        r#"{"error":"RuntimeError","code":500,"detail":"","body":"","errors":"boom"}"#,
    ),
    (
        "SD.Next, five keys and a status of its own",
        404,
        r#"{"error":"HTTPException","code":404,"detail":"Sampler not found","body":"","errors":""}"#,
    ),
    (
        "SD.Next, a bare text",
        500,
        r#""missing 1 required positional argument: 'x'""#,
    ),
    ("SD.Next, busy", 429, r#"{"detail":"Too many requests"}"#),
    (
        "older torch, out of memory",
        500,
        r#"{"error":"RuntimeError","detail":"","body":"","errors":"CUDA out of memory. Tried to allocate 2.00 GiB"}"#,
    ),
    (
        "a broken GPU",
        500,
        r#"{"error":"RuntimeError","detail":"","body":"","errors":"CUDA error: an illegal memory access was encountered"}"#,
    ),
    (
        "no numbers",
        500,
        r#"{"error":"NansException","detail":"","body":"","errors":"A tensor with all NaNs was produced in VAE."}"#,
    ),
    (
        "a full disk",
        500,
        r#"{"error":"OSError","detail":"","body":"","errors":"[Errno 28] No space left on device"}"#,
    ),
    (
        "half a model file",
        500,
        r#"{"error":"SafetensorError","detail":"","body":"","errors":"Error while deserializing header: MetadataIncompleteBuffer"}"#,
    ),
    (
        "an unknown hires checkpoint",
        500,
        r#"{"error":"Exception","detail":"","body":"","errors":"Could not find checkpoint with name nope"}"#,
    ),
    (
        "an unknown checkpoint in the settings",
        500,
        r#"{"error":"RuntimeError","detail":"","body":"","errors":"model 'nope' not found"}"#,
    ),
    (
        "invalid UTF-8",
        400,
        r#"{"detail":"There was an error parsing the body"}"#,
    ),
    (
        "a proxy's page",
        502,
        "<html><head><title>502 Bad Gateway</title></head></html>",
    ),
    (
        "a proxy's limit",
        413,
        "<html><title>413 Request Entity Too Large</title></html>",
    ),
    (
        "half an explanation",
        500,
        r#"{"error":"RuntimeError","detail":"a sec"#,
    ),
    ("an empty 500", 500, ""),
    ("an empty 501", 501, ""),
    ("a redirect", 307, ""),
    ("a wrong method", 405, r#"{"detail":"Method Not Allowed"}"#),
];

#[test]
fn relatives_of_the_webui_are_understood() {
    let verdicts: Vec<String> = RELATIVES
        .iter()
        .map(|(name, status, body)| {
            let case = Recorded {
                name: (*name).to_owned(),
                call: Call::txt2img(RawJson::from(json!({ "prompt": "x" }))),
                status: *status,
                body: body.as_bytes().to_vec(),
            };
            assert!(case.verdict().hint().is_some(), "{name}");
            case.described()
        })
        .collect();
    let verdicts = verdicts.join("\n");
    assert!(
        !verdicts.contains("a sec"),
        "what repeats the request is left out"
    );
    insta::assert_snapshot!(verdicts);
}

fn answered(route: &str, status: u16, body: &str) -> WebUiError {
    let call = Call {
        method: Method::GET,
        route: route.to_owned().into(),
        body: None,
        job_kind: JobKind::Nothing,
    };
    WebUiError::refused(status, body.as_bytes()).about(&call)
}

#[test]
fn a_route_that_this_webui_lacks_is_named() {
    const NOT_FOUND: &str = r#"{"detail":"Not Found"}"#;
    for (route, remedy) in [
        ("/sdapi/v1/sd-modules", "Forge has this route"),
        ("/sdapi/v1/schedulers", "1.9"),
        ("/controlnet/model_list?update=true", "ControlNet extension"),
        ("/my/route", "an extension that is not installed"),
    ] {
        let error = answered(route, 404, NOT_FOUND);
        assert_eq!(
            error.to_string(),
            format!("this WebUI does not have the route (HTTP 404): GET {route} (Not Found)")
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains(remedy) && !hint.contains("--api,"), "{hint}");
    }
    // Without these there is no API.
    let error = answered("/sdapi/v1/progress?skip_current_image=true", 404, NOT_FOUND);
    assert!(error.hint().unwrap().contains("--api"));
}

#[test]
fn models_that_do_not_fit_together_get_a_hint_of_their_own() {
    let body = r#"{"error":"RuntimeError","detail":"","body":"","errors":"mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)"}"#;
    for (prompt, code) in [("x", Code::Failed), ("x <lora:xl:1>", Code::InvalidParameters)] {
        let call = Call::txt2img(RawJson::from(json!({ "prompt": prompt })));
        let error = WebUiError::refused(500, body.as_bytes()).about(&call);
        assert_eq!(error.code(), code);
        assert!(error.hint().unwrap().starts_with("families of models are mixed"));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_the_users_mistake_and_no_lost_connection() {
    let options = crate::webui::ClientOptions {
        url: "http://127.0.0.1:9".parse().unwrap(),
        credentials: None,
        pool_idle: std::time::Duration::ZERO,
        answer_idle: std::time::Duration::ZERO,
        brief_render: std::time::Duration::ZERO,
    };
    let webui = crate::webui::WebUi::new(&options).unwrap();
    let call = Call {
        method: Method::GET,
        route: format!("/sdapi/v1/samplers?{}", "x".repeat(70_000)).into(),
        body: None,
        job_kind: JobKind::Nothing,
    };
    let error = webui.send(&call).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidInput, "{error}");
    assert!(matches!(error, WebUiError::NotSent { .. }));
    assert!(error.to_string().len() < 1000, "the query is not repeated");
}
