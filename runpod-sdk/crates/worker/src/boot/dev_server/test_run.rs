//! One job through the local platform, from a client's request to what the client reads.
//!
//! `--test_input` alone runs the handler without HTTP. With `--rp_serve_api` the job is submitted, taken, answered and
//! looked up over HTTP, as on RunPod.

use std::time::Duration;

use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::MissedTickBehavior;

use crate::boot::one_job::{is_expected, plain_error};
use runpod_protocol::http::causes;

/// The interval of the requests for progress.
const LOOK: Duration = Duration::from_millis(200);

/// A job and the endpoint to which it is submitted.
#[derive(Debug)]
pub(super) struct TestRun {
    /// The URL of the endpoint.
    pub(super) endpoint: String,
    pub(super) key: String,
    /// The client's request.
    pub(super) job: String,
    /// The value of `--test_output`.
    pub(super) expected: Option<Value>,
}

/// The answer of `/run`, `/status` and `/stream`.
#[derive(Debug, Deserialize)]
struct View {
    #[serde(default)]
    id: String,
    status: String,
    output: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
    #[serde(default)]
    stream: Vec<Box<RawValue>>,
}

impl View {
    fn is_final(&self) -> bool {
        matches!(
            self.status.as_str(),
            "COMPLETED" | "FAILED" | "CANCELLED" | "TIMED_OUT"
        )
    }
}

impl TestRun {
    /// Submits the job and prints its progress and its end. Returns whether it passed.
    pub(super) async fn run(self, say: impl Fn(&str)) -> bool {
        match self.follow(&say).await {
            Ok(passed) => passed,
            Err(problem) => {
                say(&format!("The job got no answer: {problem}"));
                false
            }
        }
    }

    async fn follow(&self, say: &impl Fn(&str)) -> Result<bool, String> {
        let client = Client::builder().no_proxy().build();
        let client = client.map_err(|error| causes(&error))?;
        let request = client
            .post(format!("{}/run", self.endpoint))
            .body(self.job.clone());
        let id = self.read(request).await?.id;
        say(&format!("Job {id} is in the queue."));
        let (stream, status) = (
            client.get(format!("{}/stream/{id}", self.endpoint)),
            client.get(format!("{}/status/{id}", self.endpoint)),
        );
        let again = |request: &reqwest::RequestBuilder| {
            request
                .try_clone()
                .ok_or_else(|| "a request can't be repeated".to_owned())
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_progress = String::new();
        // Held by the platform until there is something to read.
        let mut reading = Box::pin(self.read(again(&stream)?));
        loop {
            tokio::select! {
                biased;
                page = &mut reading => {
                    let page = page?;
                    for chunk in &page.stream {
                        say(&format!("Job chunk: {chunk}"));
                    }
                    if page.is_final() {
                        break;
                    }
                    reading = Box::pin(self.read(again(&stream)?));
                }
                _ = look.tick() => {
                    let view = self.read(again(&status)?).await?;
                    if let Some(progress) = view.output.as_ref().filter(|_| !view.is_final())
                        && progress.get() != last_progress
                    {
                        say(&format!("Job progress: {progress}"));
                        progress.get().clone_into(&mut last_progress);
                    }
                }
            }
        }
        Ok(self.judge(&self.read(again(&status)?).await?, say))
    }

    /// Prints how the job ended.
    fn judge(&self, view: &View, say: &impl Fn(&str)) -> bool {
        let (key, value) = match (&view.error, &view.output) {
            (Some(error), _) => ("error", error.get()),
            (None, Some(output)) => ("output", output.get()),
            (None, None) => ("output", "null"),
        };
        let result = format!("{{\"{key}\": {value}}}");
        say(&format!("Job {}: {}\nJob result: {result}", view.id, view.status));
        if view.status != "COMPLETED" {
            if let Some(reason) = plain_error(result.as_bytes()) {
                say(&reason);
            }
            return false;
        }
        let Some(expected) = &self.expected else {
            return true;
        };
        let as_expected = is_expected(expected, result.as_bytes());
        if !as_expected {
            say(&format!(
                "The output is not what --test_output expects: {expected}"
            ));
        }
        as_expected
    }

    async fn read(&self, request: reqwest::RequestBuilder) -> Result<View, String> {
        let answer = request.bearer_auth(&self.key).send().await;
        let answer = answer.map_err(|error| causes(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("the platform answered {status}: {}", text(answer).await));
        }
        let body = text(answer).await;
        serde_json::from_str(&body).map_err(|problem| format!("{problem} in {body}"))
    }
}

async fn text(answer: Response) -> String {
    match answer.text().await {
        Ok(text) => text,
        Err(error) => causes(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;
    use wiremock::matchers::{bearer_token, method, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;

    /// The lines that are printed of a job on this server, and whether it passed.
    async fn printed(server: &MockServer, expected: Option<Value>) -> (Vec<String>, bool) {
        runpod_protocol::tls::install_provider();
        let run = TestRun {
            endpoint: format!("{}/v2/local", server.uri()),
            key: "key".to_owned(),
            job: r#"{"input": 1.0}"#.to_owned(),
            expected,
        };
        let lines = RefCell::new(Vec::new());
        let passed = run.run(|line| lines.borrow_mut().push(line.to_owned())).await;
        (lines.into_inner(), passed)
    }

    /// A platform whose job shows progress until that was read, and then `end`.
    async fn platform(end: Value) -> MockServer {
        let server = MockServer::start().await;
        let looked_at = Arc::new(AtomicBool::new(false));
        let seen = looked_at.clone();
        Mock::given(method("POST"))
            .and(path("/v2/local/run"))
            .and(bearer_token("key"))
            .respond_with(|request: &Request| {
                assert_eq!(request.body, br#"{"input": 1.0}"#, "as it was given");
                ResponseTemplate::new(200).set_body_json(json!({ "id": "j", "status": "IN_QUEUE" }))
            })
            .mount(&server)
            .await;
        Mock::given(path("/v2/local/stream/j"))
            .respond_with(move |_: &Request| {
                let status = if seen.load(Ordering::Relaxed) {
                    "COMPLETED"
                } else {
                    "IN_PROGRESS"
                };
                ResponseTemplate::new(200).set_body_json(json!({ "status": status, "stream": [] }))
            })
            .mount(&server)
            .await;
        Mock::given(path("/v2/local/status/j"))
            .respond_with(move |_: &Request| {
                let view = if looked_at.swap(true, Ordering::Relaxed) {
                    end.clone()
                } else {
                    json!({ "id": "j", "status": "IN_PROGRESS", "output": { "percent": 50.0 } })
                };
                ResponseTemplate::new(200).set_body_json(view)
            })
            .mount(&server)
            .await;
        server
    }

    #[tokio::test]
    async fn what_a_client_sees_is_said_from_the_queue_to_the_result() {
        let server = platform(json!({ "id": "j", "status": "COMPLETED", "output": [1.0] })).await;
        let (lines, passed) = printed(&server, Some(json!([1.0]))).await;
        assert_eq!(
            lines,
            [
                "Job j is in the queue.",
                r#"Job progress: {"percent":50.0}"#,
                "Job j: COMPLETED\nJob result: {\"output\": [1.0]}",
            ]
        );
        assert!(passed);
    }

    #[tokio::test]
    async fn a_job_that_fails_or_gives_something_else_has_not_passed() {
        let error =
            r#"{"error_type": "T", "error_message": "invalid input: n: required, and missing\nmore"}"#;
        let failed = json!({ "id": "j", "status": "FAILED", "error": error });
        let (lines, passed) = printed(&platform(failed).await, None).await;
        assert_eq!(lines.last().unwrap(), "n: required, and missing");
        let result = &lines[lines.len() - 2];
        assert!(
            result.starts_with("Job j: FAILED\nJob result: {\"error\": "),
            "{result}"
        );
        assert!(!passed);
        let other = json!({ "id": "j", "status": "COMPLETED" });
        let (lines, passed) = printed(&platform(other).await, Some(json!(7))).await;
        assert_eq!(
            lines.last().unwrap(),
            "The output is not what --test_output expects: 7"
        );
        assert!(!passed);
    }

    #[tokio::test]
    async fn a_request_that_is_refused_is_explained() {
        let server = MockServer::start().await;
        Mock::given(path("/v2/local/run"))
            .respond_with(ResponseTemplate::new(400).set_body_string("no input"))
            .mount(&server)
            .await;
        let (lines, passed) = printed(&server, None).await;
        assert_eq!(
            lines,
            ["The job got no answer: the platform answered 400 Bad Request: no input"]
        );
        assert!(!passed);
    }
}
