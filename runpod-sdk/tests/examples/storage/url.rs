use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{failure, run};

#[tokio::test(flavor = "multi_thread")]
async fn url_input_fetches_the_file_and_leaves_nothing() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/poem.txt"))
        .respond_with(ResponseTemplate::new(200).set_body_string("one\ntwo\n"))
        .expect(1)
        .mount(&server)
        .await;
    let scratch = tempfile::tempdir().unwrap();
    let job = json!({ "input": { "url": format!("{}/poem.txt?sig=secret", server.uri()) } });
    let variables = [
        ("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1"),
        ("RUNPOD_WORKER_SCRATCH", scratch.path().to_str().unwrap()),
    ];
    let (code, result) = run("url_input", &job, &variables);
    assert_eq!(code, 0, "{result}");
    assert_eq!(
        result["output"],
        json!({ "name": "poem.txt", "bytes": 8, "lines": 2 })
    );
    // The job's own directory is gone; that of the process goes with it or with the next start.
    for entry in std::fs::read_dir(scratch.path()).unwrap() {
        let entry = entry.unwrap().path();
        assert!(
            entry.is_file() || entry.read_dir().unwrap().next().is_none(),
            "{entry:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn url_input_does_not_reach_inner_addresses() {
    let server = MockServer::start().await;
    let job = json!({ "input": { "url": server.uri() } });
    let (code, result) = run("url_input", &job, &[]);
    assert_eq!(code, 1);
    assert_eq!(failure(&result)["code"], "DOWNLOAD_BLOCKED");
    assert!(server.received_requests().await.unwrap().is_empty());
}
