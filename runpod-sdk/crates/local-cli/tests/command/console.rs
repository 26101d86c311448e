//! What the console's pages are made of, without a browser.

use serde_json::{Value, json};

use crate::support::{Local, WORKER, command, http};

#[tokio::test]
async fn a_jobs_history_has_its_lines_progress_and_end_in_order() {
    let local = Local::start(&[], &["python3", "-u", WORKER]);
    let input = json!({ "say": "plain words", "progress": [{"percent": 50}], "fail": "it broke" });
    let job = local.client().run(&input).await.unwrap();
    let mut kinds = Vec::new();
    local
        .watch(&format!("jobs/{}/events", job.id()), |items| {
            for item in items.as_array().unwrap() {
                let detail = match item["kind"].as_str().unwrap() {
                    "log" => format!("log {}", item["message"].as_str().unwrap()),
                    "progress" => format!("progress {}", item["output"]),
                    "ended" => format!("ended {} {}", item["status"].as_str().unwrap(), item["error"]),
                    other => other.to_owned(),
                };
                kinds.push(detail);
            }
            kinds.last().filter(|kind| kind.starts_with("ended")).map(|_| ())
        })
        .await;
    // Lines and requests travel on different ways.
    let (logs, others): (Vec<&str>, Vec<&str>) = kinds
        .iter()
        .map(String::as_str)
        .partition(|kind| kind.starts_with("log"));
    assert_eq!(
        others,
        [
            "submitted",
            "taken",
            "progress {\"percent\":50}",
            "ended FAILED \"it broke\""
        ]
    );
    assert!(
        logs.contains(&"log Started.") && logs.contains(&"log plain words"),
        "{logs:?}"
    );
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_has_not_seen() {
    let local = Local::start(&[], &[]);
    let client = local.client();
    client.run(&json!({"prompt": "first"})).await.unwrap();
    let labels = |state: &Value| -> Vec<String> {
        let jobs = state["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["label"].as_str().unwrap().to_owned())
            .collect()
    };
    let (version, first) = local
        .watch("events", |state| Some((state["version"].clone(), labels(state))))
        .await;
    assert_eq!(first, ["first"]);
    client.run(&json!({"prompt": "second"})).await.unwrap();
    let path = format!("events?seen={version}");
    let second = local.watch(&path, |state| {
        assert_eq!(state["reset"], false);
        Some(labels(state))
    });
    assert_eq!(second.await, ["second"]);
}

#[tokio::test]
async fn a_webhook_comes_to_the_inbox() {
    let local = Local::start(&[], &[]);
    let url = format!("{}/console/inbox", local.announcement.url);
    let sent = async |body: &str| {
        http()
            .post(&url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(sent("{\"id\": \"j\"}").await, 200);
    assert_eq!(sent("no JSON").await, 400);
    let webhook = local
        .watch("inbox/events", |webhooks| webhooks.get(0).cloned())
        .await;
    assert_eq!(webhook["body"], json!({"id": "j"}));
}

#[tokio::test]
async fn with_a_key_the_page_is_shown_and_what_is_on_it_is_not() {
    let mut command = command(&["--listen", "127.0.0.1:0", "--json", "--api-key", "k3y"]);
    let local = Local::start_command(&mut command, &[]);
    let get = async |path: &str| {
        http()
            .get(format!("{}{path}", local.announcement.url))
            .send()
            .await
            .unwrap()
    };
    let page = get("/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    for path in [
        "events",
        "about",
        "jobs/j/events",
        "workers/w/events",
        "inbox/events",
    ] {
        assert_eq!(get(&format!("/console/api/{path}")).await.status(), 401, "{path}");
    }
    let order = http().post(format!("{}/console/api/workers/w/kill", local.announcement.url));
    assert_eq!(order.send().await.unwrap().status(), 401);
}
