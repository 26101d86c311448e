//! What a hostile job, and a WebUI that runs code of others, could try (`docs/threats.md`).

use serde_json::{Value, json};

use crate::support::owned::exists;
use crate::support::{OwnedWebUi, RawWebUi, Reply, Stage, aside, png_64, soon, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64}"#;
const AUTH: (&str, &str) = ("SD_WORKER_WEBUI_AUTH", "anna:hunter2");
/// `anna:hunter2` in the header.
const BASIC: &str = "YW5uYTpodW50ZXIy";

/// The answer to a render.
fn picture() -> Reply {
    let answer = json!({ "images": [png_64()], "parameters": {}, "info": "{}" });
    Reply::json(200, answer.to_string())
}

#[tokio::test]
async fn what_a_job_must_not_ask_for_is_refused_and_never_sent() {
    let webui = RawWebUi::start(|request| aside(&request)).await;
    let stage = Stage::with(&webui.url, &[("SD_WORKER_ALLOW_ROUTES", "/sdapi/*")]).await;
    let mut table = Vec::new();
    for (name, input) in [
        ("the password", r#"{"api": {"endpoint": "cmd-flags"}}"#),
        (
            "the password, with slashes",
            r#"{"api": {"endpoint": "//sdapi/v1/cmd-flags/"}}"#,
        ),
        (
            "the password, with a query",
            r#"{"api": {"endpoint": "cmd-flags?a=b"}}"#,
        ),
        (
            "the password, in capitals",
            r#"{"api": {"endpoint": "/sdapi/v1/CMD-FLAGS"}}"#,
        ),
        (
            "the password, encoded",
            r#"{"api": {"endpoint": "/sdapi/v1/%63md-flags"}}"#,
        ),
        (
            "the password, escaped",
            r#"{"api": {"endpoint": "\u0063md-flags"}}"#,
        ),
        ("an inner address", r#"{"init_images": ["http://127.0.0.1:1/"]}"#),
        (
            "an inner address, escaped",
            r#"{"init_images": ["\u0068ttp:\u002f\u002f127.0.0.1:1/"]}"#,
        ),
        (
            "an inner address, in one slash",
            r#"{"api": {"endpoint": "png-info"}, "payload": {"im\u0061ge": "http:/\/127.0.0.1:1/"}}"#,
        ),
        (
            "an inner address, in pairs",
            r#"{"api": {"endpoint": "png-info"}, "payload": [["image", "http://127.0.0.1:1/"]]}"#,
        ),
        (
            "an address beside half a character",
            r#"{"init_images": ["http://127.0.0.1:1/#\ud800"]}"#,
        ),
        (
            "a folder",
            r#"{"api": {"endpoint": "options"}, "payload": {"outdir_samples": "/x"}}"#,
        ),
        (
            "a folder, escaped",
            r#"{"prompt": "x", "override_settings": {"outd\u0069r_samples": "/x"}}"#,
        ),
        (
            "a folder, in pairs",
            r#"{"prompt": "x", "override_settings": [["outdir_samples", "/x"]]}"#,
        ),
        (
            "a file name",
            r#"{"prompt": "x", "override\u005fsettings": {"samples_filename_pattern": "x"}}"#,
        ),
    ] {
        table.push(format!("{name}: {}", verdict(&stage.fail(input).await).join(" ")));
    }
    let long = json!({ "api": { "endpoint": format!("samplers?{}", "x".repeat(70_000)) } });
    let error = stage.fail(&long.to_string()).await;
    table.push(format!("a query of 70 KB: {}", verdict(&error).join(" ")));
    insta::assert_snapshot!(table.join("\n"));
    for start in [
        "POST /sdapi/v1/img2img",
        "POST /sdapi/v1/txt2img",
        "POST /sdapi/v1/png-info",
        "POST /sdapi/v1/options",
    ] {
        assert!(webui.asked(start).is_empty(), "{start}");
    }
}

#[tokio::test]
async fn the_password_of_the_webui_is_shown_nowhere_when_the_webui_repeats_it() {
    let echo = format!(
        "Traceback (most recent call last): wrong password 'hunter2' of anna:hunter2, \
         headers {{'authorization': 'Basic {BASIC}'}}, (b'authorization', b'Basic {BASIC}')"
    );
    let bodies = [
        json!({ "error": "HTTPException", "detail": echo, "body": "", "errors": "" }).to_string(),
        json!({ "error": "hunter2", "detail": "", "body": "", "errors": echo }).to_string(),
        json!({ "detail": [{ "loc": ["body", "hunter2"], "msg": echo, "type": echo }] }).to_string(),
        json!(echo).to_string(),
        format!("Internal Server Error\n{echo}"),
        format!("<html><title>{echo}</title></html>"),
    ];
    for status in [500, 422, 401, 200] {
        let answers = bodies.clone();
        let webui = RawWebUi::start(move |request| {
            if request.start() != "POST /sdapi/v1/txt2img" {
                return aside(&request);
            }
            let input: Value = serde_json::from_slice(&request.body).unwrap();
            if input["prompt"] != "a job" {
                // The worker's own, which looks whether the WebUI is well.
                return Box::pin(async { picture() });
            }
            let which = usize::try_from(input["seed"].as_u64().unwrap()).unwrap();
            let body = answers[which].clone();
            Box::pin(async move { Reply::typed(status, "text/html", body) })
        })
        .await;
        let stage = Stage::with(&webui.url, &[AUTH, ("RUNPOD_LOG_LEVEL", "DEBUG")]).await;
        for which in 0..bodies.len() {
            let job = stage
                .run(&format!(r#"{{"prompt": "a job", "seed": {which}}}"#))
                .await;
            // An answer of 200 that is JSON is the job's output, and no error.
            let error = job.error().unwrap_or_default();
            assert!(!error.is_empty() || status == 200, "{which}");
            assert!(
                !error.contains("hunter2") && !error.contains(BASIC),
                "{status} {which}: {error}"
            );
        }
        let log = stage.worker.log();
        assert!(!log.contains("hunter2") && !log.contains(BASIC), "{log}");
    }
}

#[tokio::test]
async fn the_password_of_the_webui_is_shown_nowhere_in_its_own_log() {
    let command = format!(
        "sh -c 'echo Launching Web UI with arguments: --api-auth anna:hunter2 --gradio-auth admin:page-pass; \
         echo \"ValueError: bad header Basic {BASIC} of hunter2\" >&2; exit 3'"
    );
    let variables = [AUTH, ("SD_WORKER_WEBUI_COMMAND", command.as_str())];
    let mut stage = Stage::with("http://127.0.0.1:9", &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    stage.worker.says("--api-auth [secret]").await;
    let log = stage.worker.log();
    assert!(!log.contains("hunter2") && !log.contains(BASIC), "{log}");
    assert!(!log.contains("page-pass"), "{log}");
}

#[tokio::test]
async fn the_webui_gets_the_variables_of_programs_and_no_key_of_the_worker() {
    let command = "sh -c 'echo it has: $(env | cut -d= -f1 | sort) .; exit 3'";
    let variables = [
        ("SD_WORKER_WEBUI_COMMAND", command),
        AUTH,
        ("SD_WORKER_WEBUI_ENV", "CIVITAI_TOKEN,MY_*"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/root"),
        ("CUDA_VISIBLE_DEVICES", "1"),
        ("COMMANDLINE_ARGS", "--api"),
        ("PYTORCH_CUDA_ALLOC_CONF", "x"),
        ("HF_HOME", "/models"),
        ("HF_TOKEN", "hf_0123456789"),
        ("CIVITAI_TOKEN", "named in full"),
        ("MY_FOLDER", "/x"),
        ("MY_TOKEN", "not named in full"),
        ("RUNPOD_API_KEY", "rpa_0123456789"),
        ("BUCKET_ENDPOINT_URL", "https://s3.example/b"),
        ("BUCKET_ACCESS_KEY_ID", "AKIA0123456789"),
        ("BUCKET_SECRET_ACCESS_KEY", "0123456789abcdef"),
        ("AWS_SESSION_TOKEN", "0123456789abcdef"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x"),
        ("DATABASE_URL", "postgres://u:p@h/d"),
    ];
    let mut stage = Stage::with("http://127.0.0.1:9", &variables).await;
    assert_eq!(stage.worker.exit().await.code(), Some(1));
    let line = stage.worker.says("it has: ").await;
    let (_, names) = line.split_once("it has: ").unwrap();
    let names: Vec<&str> = names.split(" .").next().unwrap().split(' ').collect();
    let own = ["PWD", "SHLVL", "_", "OLDPWD"];
    let names: Vec<&str> = names.into_iter().filter(|name| !own.contains(name)).collect();
    insta::assert_snapshot!(names.join(" "));
    let told = stage
        .worker
        .says("the WebUI does not get these variables: ")
        .await;
    assert!(told.contains("DATABASE_URL, HF_TOKEN, MY_TOKEN,"), "{told}");
    assert!(!told.contains("RUNPOD_API_KEY"), "{told}");
}

#[tokio::test]
async fn what_the_webui_leaves_behind_is_reaped_by_the_worker() {
    let webui = OwnedWebUi::new("");
    // The process in the brackets ends at once, and its child is an orphan in a group of its own.
    let command = format!(
        "sh -c '(setsid sleep 0.1 >/dev/null 2>&1 & echo orphan $!); exec {}'",
        webui.command
    );
    let stage = Stage::with(&webui.url, &[("SD_WORKER_WEBUI_COMMAND", &command)]).await;
    let line = stage.worker.says("orphan ").await;
    let (_, orphan) = line.split_once("orphan ").unwrap();
    let orphan: String = orphan.chars().take_while(char::is_ascii_digit).collect();
    stage.complete(SMALL).await;
    soon(async {
        while exists(orphan.parse().unwrap()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A WebUI whose settings take 1.2 s to fail delays the first job that overrides one, and not each.
#[tokio::test]
async fn settings_that_cannot_be_read_in_time_are_not_asked_for_by_each_job() {
    let webui = RawWebUi::start(|request| match request.start() {
        "GET /sdapi/v1/options" => Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
            Reply::Cut(Vec::new())
        }),
        "POST /sdapi/v1/txt2img" => Box::pin(async { picture() }),
        _ => aside(&request),
    })
    .await;
    let stage = Stage::new(&webui.url).await;
    for _ in 0..3 {
        stage
            .complete(r#"{"prompt": "x", "override_settings": {"CLIP_stop_at_last_layers": 2}}"#)
            .await;
    }
    assert_eq!(webui.asked("GET /sdapi/v1/options").len(), 1);
    stage
        .worker
        .says("the WebUI does not list its settings in time")
        .await;
}
