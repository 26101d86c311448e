//! A Forge that the worker owns: what its answers and its log say of a failure (`docs/protocol/webui-api.md` §12).

use serde_json::{Value, json};

use crate::support::owned::started;
use crate::support::{OwnedWebUi, Stage, verdict};

const SMALL: &str = r#"{"prompt": "x", "steps": 2, "width": 64, "height": 64}"#;

async fn owned(profile: &str) -> (OwnedWebUi, Stage) {
    let webui = OwnedWebUi::new(&format!("--profile {profile}"));
    let stage = webui.stage(&[]).await;
    stage.complete(SMALL).await;
    (webui, stage)
}

fn exception(class: &str, text: &str) -> Value {
    json!({ "kind": "exception", "class": class, "text": text })
}

#[tokio::test]
async fn a_cuda_error_restarts_it() {
    for profile in ["forge", "forge-2024"] {
        let (webui, stage) = owned(profile).await;
        let text = "CUDA error: an illegal memory access was encountered";
        webui.inject(exception("RuntimeError", text)).await;
        let error = stage.fail(SMALL).await;
        assert_eq!(verdict(&error), ["GPU_FAILED", "backend", "retryable"], "{error}");
        assert!(error["error_message"].as_str().unwrap().contains(text), "{error}");
        stage.complete(SMALL).await;
        assert_eq!(started(&stage.worker).len(), 2, "{profile}");
        stage.worker.says("mending the WebUI: restarting it").await;
    }
}

#[tokio::test]
async fn a_failure_without_a_reason_in_its_answer_has_the_one_of_its_log() {
    let (webui, stage) = owned("forge-2024").await;
    for (class, text, expected) in [
        (
            "OSError",
            "[Errno 28] No space left on device",
            ["BACKEND_DISK_FULL", "backend", "retryable"],
        ),
        (
            "NansException",
            "A tensor with NaNs was produced in Unet.",
            ["NAN_PICTURE", "backend", "final"],
        ),
        ("RuntimeError", "boom", ["BACKEND_ERROR", "backend", "final"]),
    ] {
        webui.inject(exception(class, text)).await;
        let error = stage.fail(SMALL).await;
        assert_eq!(verdict(&error), expected, "{error}");
        assert_eq!(error["details"]["error"], class, "{error}");
        assert_eq!(error["details"]["from_log"], true, "{error}");
    }
    let unknown = json!({ "prompt": "x", "steps": 2, "override_settings": { "nope": 1 } });
    let error = stage.fail(&unknown.to_string()).await;
    assert_eq!(
        verdict(&error),
        ["INVALID_PARAMETERS", "user", "final"],
        "{error}"
    );
    assert_eq!(started(&stage.worker).len(), 1);
}

#[tokio::test]
async fn out_of_memory_is_mended_though_its_answer_does_not_say_so() {
    let (webui, stage) = owned("forge-2024").await;
    webui
        .inject(json!({ "kind": "out-of-memory", "until": "unload" }))
        .await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "GPU_OUT_OF_MEMORY");
    stage.complete(SMALL).await;
    assert_eq!(started(&stage.worker).len(), 1, "no restart was needed");
}
