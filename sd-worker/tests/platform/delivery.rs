//! A finished result reaches the platform, whatever the platform does about it at first.

use std::time::Duration;

use mock_webui::MockWebUi;

use crate::support::{
    Channel, Gate, Platform, Program, Request, Step, answer, json, picture, seed_of, soon, worker,
};

/// What a worker did about the result of its one job.
struct Delivery {
    posts: Vec<Request>,
    worker: Program,
}

/// Runs one job, whose result meets these faults. After so many posts the worker is told to stop, and
/// must end well.
async fn deliver(faults: Vec<Step>, posts: usize, variables: &[(&str, &str)]) -> Delivery {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.then(Channel::Done, faults);
    platform.offer("j1", &picture(7));
    let mut worker = worker(&platform, &webui, variables);
    platform.request(Channel::Done, posts).await;
    worker.signal("TERM").await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    let posts = platform.requests(Channel::Done);
    Delivery { posts, worker }
}

impl Delivery {
    /// The result was posted so often, the same each time, to the same place, under the same id.
    fn is_the_same_result(&self, times: usize) {
        assert_eq!(self.posts.len(), times);
        for post in &self.posts {
            assert_eq!(post.head.method, "POST");
            assert_eq!(post.head.target, "/v2/ep1/job-done/w1/j1?gpu=A&isStream=false");
            assert_eq!(post.head.header("x-request-id"), Some("j1"));
            assert!(post.body == self.posts[0].body, "the body has changed");
        }
        assert_eq!(seed_of(&self.posts[0].json()["output"]), 7);
    }

    fn pause(&self) -> Duration {
        self.posts[1].at - self.posts[0].at
    }

    fn lines_with(&self, words: &str) -> usize {
        self.worker
            .log()
            .lines()
            .filter(|line| line.contains(words))
            .count()
    }
}

fn times(count: usize, step: &Step) -> Vec<Step> {
    vec![step.clone(); count]
}

#[tokio::test]
async fn a_result_arrives_after_500_twice() {
    let delivery = deliver(times(2, &Step::answer(500)), 3, &[]).await;
    delivery.is_the_same_result(3);
}

#[tokio::test]
async fn a_result_arrives_after_500_five_times() {
    let delivery = deliver(times(5, &Step::answer(500)), 6, &[]).await;
    delivery.is_the_same_result(6);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let busy = Step::bytes(answer(429, &[("retry-after", "1")], ""));
    let delivery = deliver(vec![busy], 2, &[]).await;
    delivery.is_the_same_result(2);
    let pause = delivery.pause();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(4)).contains(&pause),
        "{pause:?}"
    );
}

#[tokio::test]
async fn without_retry_after_429_means_five_seconds() {
    let delivery = deliver(vec![Step::answer(429)], 2, &[]).await;
    delivery.is_the_same_result(2);
    let pause = delivery.pause();
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(9)).contains(&pause),
        "{pause:?}"
    );
}

#[tokio::test]
async fn a_refused_result_becomes_a_small_failure() {
    for status in [400, 413] {
        let refused = Step::bytes(json(status, r#"{"error":"too much of it"}"#));
        let delivery = deliver(vec![refused], 2, &[]).await;
        let [result, failure] = &delivery.posts[..] else {
            panic!("{} posts", delivery.posts.len());
        };
        assert_eq!(failure.head.target, result.head.target);
        assert_eq!(failure.head.header("x-request-id"), Some("j1"));
        assert!(failure.body.len() < 2000, "{} bytes", failure.body.len());
        let error = failure.error();
        assert_eq!(error["code"], "RESULT_REFUSED");
        assert_eq!(error["details"]["status"], status);
        let message = error["error_message"].as_str().unwrap();
        assert!(message.contains("too much of it"), "{message}");
    }
}

#[tokio::test]
async fn a_refused_key_is_reported_once_and_tried_on() {
    let delivery = deliver(times(5, &Step::answer(401)), 6, &[]).await;
    delivery.is_the_same_result(6);
    assert_eq!(delivery.lines_with("check RUNPOD_AI_API_KEY"), 1);
}

#[tokio::test]
async fn the_result_of_a_job_that_is_gone_is_dropped_with_a_warning() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.then(Channel::Done, [Step::answer(404)]);
    platform.offer("gone", &picture(1));
    platform.offer("next", &picture(2));
    let worker = worker(&platform, &webui, &[]);
    let next = platform.result_of("next").await;
    assert_eq!(seed_of(&next.json()["output"]), 2);
    let warning = worker.says("no longer knows this job").await;
    assert!(
        warning.contains("gone") && warning.contains(r#""level": "WARN""#),
        "{warning}"
    );
    assert_eq!(platform.requests(Channel::Done).len(), 2);
}

#[tokio::test]
async fn a_result_survives_resets_before_the_answer() {
    for count in [1, 5] {
        let delivery = deliver(times(count, &Step::reset("")), count + 1, &[]).await;
        delivery.is_the_same_result(count + 1);
    }
}

#[tokio::test]
async fn a_result_survives_resets_in_the_middle_of_its_own_body() {
    for count in [1, 5] {
        // None of the cut posts has come whole, so only the last one counts.
        let delivery = deliver(times(count, &Step::CutUpload(100)), 1, &[]).await;
        delivery.is_the_same_result(1);
        assert_eq!(delivery.lines_with("could not deliver the result"), 1);
    }
}

#[tokio::test]
async fn a_result_survives_resets_in_the_middle_of_the_answers_head_or_of_a_refusal() {
    let refusal = answer(500, &[], [b' '; 100]);
    for fault in [
        Step::reset("HTTP/1.1 200 OK\r\ncontent-le"),
        Step::reset(&refusal[..60]),
    ] {
        let delivery = deliver(times(5, &fault), 6, &[]).await;
        delivery.is_the_same_result(6);
    }
}

#[tokio::test]
async fn an_acceptance_counts_even_if_its_body_is_cut_off() {
    let accepted = answer(200, &[], [b' '; 100]);
    let delivery = deliver(vec![Step::reset(&accepted[..60])], 1, &[]).await;
    delivery.is_the_same_result(1);
}

#[tokio::test]
async fn the_next_job_runs_while_a_result_is_still_on_its_way() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let gate = Gate::default();
    platform.then(Channel::Done, [Step::held(&gate, json(500, "{}"))]);
    platform.offer("first", &picture(1));
    platform.offer("second", &picture(2));
    let _worker = worker(&platform, &webui, &[]);
    platform.result_of("first").await;
    let second = platform.result_of("second").await;
    assert_eq!(seed_of(&second.json()["output"]), 2);
    gate.open();
    let again = platform.request(Channel::Done, 3).await;
    assert_eq!(again.head.header("x-request-id"), Some("first"));
    assert_eq!(seed_of(&again.json()["output"]), 1);
}

#[tokio::test]
async fn a_result_is_delivered_after_sigterm_too() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    let gate = Gate::default();
    platform.then(Channel::Done, [Step::held(&gate, json(502, "{}"))]);
    platform.then(Channel::Done, times(3, &Step::reset("")));
    platform.offer("j1", &picture(7));
    let mut worker = worker(&platform, &webui, &[]);
    platform.request(Channel::Done, 1).await;
    worker.signal("TERM").await;
    worker.says("SIGTERM received").await;
    gate.open();
    soon(platform.request(Channel::Done, 5)).await;
    assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    let posts = platform.requests(Channel::Done);
    Delivery { posts, worker }.is_the_same_result(5);
}
