//! Whatever a take is answered with, the worker goes on and does the next good job.

use std::time::Duration;

use mock_webui::MockWebUi;

use crate::support::{Channel, Platform, Step, answer, json, picture, seed_of, worker};

fn typed(kind: &str, body: &str) -> Step {
    Step::bytes(answer(200, &[("content-type", kind)], body))
}

/// A worker that meets each of these in turn, and gets a good job after each.
async fn good_jobs_after(faults: Vec<(&str, Step)>) {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let mut worker = worker(&platform, &webui, &[]);
    for (number, (name, fault)) in (1..).zip(faults) {
        platform.then(Channel::Take, [fault]);
        let id = format!("good-{number}");
        platform.offer(&id, &picture(number));
        let result = platform.result_of(&id).await;
        assert_eq!(
            seed_of(&result.json()["output"]),
            u64::from(number),
            "after {name}"
        );
    }
    worker.signal("TERM").await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
}

#[tokio::test]
async fn two_seconds_of_500_are_at_most_ten_takes() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.otherwise(Channel::Take, Some(Step::answer(500)));
    let _worker = worker(&platform, &webui, &[]);
    let first = platform.request(Channel::Take, 1).await;
    // The two seconds are what is measured.
    tokio::time::sleep_until((first.at + Duration::from_secs(2)).into()).await;
    let takes = platform.requests(Channel::Take).len();
    assert!((2..=10).contains(&takes), "{takes} takes");

    platform.otherwise(Channel::Take, None);
    platform.offer("j1", &picture(7));
    assert_eq!(seed_of(&platform.result_of("j1").await.json()["output"]), 7);
}

#[tokio::test]
async fn a_429_is_waited_out() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let busy = answer(429, &[("retry-after", "1")], "");
    platform.then(Channel::Take, [Step::bytes(busy)]);
    platform.offer("j1", &picture(7));
    let _worker = worker(&platform, &webui, &[]);
    platform.result_of("j1").await;
    let takes = platform.requests(Channel::Take);
    let pause = takes[1].at - takes[0].at;
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(4)).contains(&pause),
        "{pause:?}"
    );
}

#[tokio::test]
async fn no_answer_and_no_json_stop_nobody() {
    good_jobs_after(vec![
        ("400", Step::answer(400)),
        ("204", Step::bytes(answer(204, &[], ""))),
        ("a reset", Step::reset("")),
        ("a reset in the head", Step::reset("HTTP/1.1 200 O")),
        (
            "something that is not HTTP",
            Step::reset("220 mail.example ESMTP\r\n"),
        ),
        ("an HTML page", typed("text/html", "<html>Hello</html>")),
        ("HTML that says it is JSON", Step::json("<html>Hello</html>")),
        ("nothing that says it is JSON", Step::json("")),
        ("bytes that are no text", Step::json([0xff, 0xfe, 0x00])),
        ("half a job", Step::json(r#"{"id":"half","inp"#)),
        (
            "a body cut off",
            Step::reset(&json(200, r#"{"id":"cut","input":{}}"#)[..80]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn json_that_is_no_job_stops_nobody() {
    good_jobs_after(vec![
        ("null", Step::json("null")),
        ("a text", Step::json(r#""job""#)),
        ("an empty list", Step::json("[]")),
        ("a list of things that are no jobs", Step::json("[1,null,[],{}]")),
        ("no id", Step::json(r#"{"input":{"prompt":"x"}}"#)),
        ("no input", Step::json(r#"{"id":"no-input"}"#)),
        (
            "an id that is no text",
            Step::json(r#"{"id":{"a":1},"input":{}}"#),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_list_gives_all_its_jobs_and_one_bad_element_hurts_no_other() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let list = format!(
        r#"[{{"id":"a","input":{}}},{{"input":1}},{{"id":"b","input":{}}}]"#,
        picture(1),
        picture(2)
    );
    platform.then(Channel::Take, [Step::json(list)]);
    let _worker = worker(&platform, &webui, &[]);
    // One was asked for; the second waits for its turn.
    assert_eq!(seed_of(&platform.result_of("a").await.json()["output"]), 1);
    assert_eq!(seed_of(&platform.result_of("b").await.json()["output"]), 2);
}

#[tokio::test]
async fn an_input_that_is_no_object_fails_that_job_alone() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.offer("odd", "null");
    platform.offer("good", &picture(2));
    let _worker = worker(&platform, &webui, &[]);
    let error = platform.result_of("odd").await.error();
    assert_eq!(error["code"], "INVALID_INPUT");
    assert_eq!(seed_of(&platform.result_of("good").await.json()["output"]), 2);
}

#[tokio::test]
async fn a_job_of_twenty_megabytes_arrives_at_the_webui_whole() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    // The WebUI ignores what it does not know.
    let padding = format!(r#","padding":"{}"}}"#, "x".repeat(20_000_000));
    let input = picture(1).replace('}', &padding);
    platform.offer("large", &input);
    platform.offer("good", &picture(2));
    let _worker = worker(&platform, &webui, &[]);
    assert_eq!(seed_of(&platform.result_of("large").await.json()["output"]), 1);
    assert_eq!(seed_of(&platform.result_of("good").await.json()["output"]), 2);
    let received = webui.stubs().received_requests().await.unwrap();
    assert!(received.iter().any(|request| request.body == input.as_bytes()));
}

#[tokio::test]
async fn ten_thousand_levels_of_nesting_arrive_at_the_webui_whole() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let input = picture(1).replace('}', &format!(r#","deep":{deep}}}"#));
    platform.offer("deep", &input);
    platform.offer("good", &picture(2));
    let mut worker = worker(&platform, &webui, &[]);
    // Whether it makes a picture of this is up to the WebUI.
    platform.result_of("deep").await;
    assert_eq!(seed_of(&platform.result_of("good").await.json()["output"]), 2);
    let received = webui.stubs().received_requests().await.unwrap();
    assert!(received.iter().any(|request| request.body == input.as_bytes()));
    worker.signal("TERM").await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
}

#[tokio::test]
async fn an_instant_answer_without_a_job_is_no_reason_to_hurry() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.otherwise(Channel::Take, Some(Step::bytes(answer(204, &[], ""))));
    let _worker = worker(&platform, &webui, &[]);
    let first = platform.request(Channel::Take, 1).await;
    // The two seconds are what is measured.
    tokio::time::sleep_until((first.at + Duration::from_secs(2)).into()).await;
    // About eight. On a busy machine an answer may take so long that it passes for a long poll, after
    // which there is no pause; but then the wait itself has been one.
    let takes = platform.requests(Channel::Take).len();
    assert!(takes <= 60, "{takes} takes");
}
