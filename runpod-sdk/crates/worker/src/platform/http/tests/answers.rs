//! What the worker makes of the answers to takes and stop polls.

use super::*;

const JOB: &str = r#"{"id":"j1","input":1}"#;

/// Takes from a server, and gives the ids of the jobs.
async fn take_from(platform: &HttpPlatform, at_most: usize) -> Result<Vec<String>, PlatformError> {
    let never = CancellationToken::new();
    let at_most = NonZeroUsize::new(at_most).unwrap();
    let jobs = soon(platform.take_jobs(at_most, false, &never)).await?;
    Ok(jobs.iter().map(|job| job.id().to_string()).collect())
}

#[tokio::test]
async fn json_under_another_media_type_is_read() {
    for label in [
        "",
        "content-type: text/plain\r\n",
        "content-type: text/html; charset=utf-8\r\n",
    ] {
        let stops = r#"{"jobsToStop":["j1"]}"#;
        let server = Server::start([answer("200 OK", label, JOB), answer("200 OK", label, stops)]).await;
        let platform = server.platform(WorkerLimits::default());
        assert_eq!(take_from(&platform, 1).await.unwrap(), ["j1"], "{label:?}");
        assert_eq!(
            soon(platform.stop_signals()).await.unwrap(),
            ["j1".into()],
            "{label:?}"
        );
        assert!(platform.other_media_type.is_completed(), "it was not reported");
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_job_is_reported_and_is_no_job() {
    let page = answer("200 OK", "content-type: text/html\r\n", "<html>");
    let server = Server::start([page]).await;
    let platform = server.platform(WorkerLimits::default());
    assert!(take_from(&platform, 1).await.unwrap().is_empty());
    assert!(platform.other_media_type.is_completed());

    let nothing = Server::start([answer("200 OK", "", "")]).await;
    let platform = nothing.platform(WorkerLimits::default());
    assert!(take_from(&platform, 1).await.unwrap().is_empty());
    assert!(
        !platform.other_media_type.is_completed(),
        "an empty answer is none to report"
    );
}

#[tokio::test]
async fn an_encoded_answer_is_an_error_that_names_the_encoding() {
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let server = Server::start([answer("200 OK", headers, "\u{1f}\u{8}")]).await;
    let platform = server.platform(WorkerLimits::default());
    for error in [
        take_from(&platform, 1).await.unwrap_err(),
        soon(platform.stop_signals()).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("content-encoding \"gzip\""), "{error}");
    }
}

#[tokio::test]
async fn without_a_batch_take_jobs_are_taken_one_by_one() {
    for status in ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
        let json = "content-type: application/json\r\n";
        let server = Server::start([answer(status, "", ""), answer("200 OK", json, JOB)]).await;
        let platform = server.platform(WorkerLimits::default());
        assert_eq!(platform.most_per_take(), usize::MAX);
        for _ in 0..2 {
            assert_eq!(take_from(&platform, 3).await.unwrap(), ["j1"], "{status}");
        }
        assert_eq!(platform.most_per_take(), 1);
        let seen = server.seen();
        let targets: Vec<&str> = seen.iter().map(Seen::target).collect();
        let single = "/v2/e/job-take/w1?gpu=A+1&job_in_progress=0";
        assert_eq!(
            targets,
            [
                "/v2/e/job-take-batch/w1?gpu=A+1&batch_size=3&job_in_progress=0",
                single,
                single
            ]
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_unknown_does_not_end_the_batches() {
    let server = Server::start([answer("404 Not Found", "", "")]).await;
    let platform = server.platform(WorkerLimits::default());
    assert_eq!(take_from(&platform, 3).await.unwrap_err().status(), Some(404));
    assert_eq!(platform.most_per_take(), usize::MAX);
}
