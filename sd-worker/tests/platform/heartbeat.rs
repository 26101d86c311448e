//! The platform hears of a job for as long as the worker has it: until its result is accepted.

use mock_webui::MockWebUi;

use crate::support::{Channel, Gate, Platform, Request, Step, json, picture, soon, worker};

fn names(ping: &Request, job: &str) -> bool {
    ping.head.target.contains(&format!("job_id={job}&"))
}

fn names_none(ping: &Request) -> bool {
    !ping.head.target.contains("job_id")
}

#[tokio::test]
async fn pings_name_a_job_from_its_arrival_until_its_result_is_accepted() {
    let webui = MockWebUi::builder().manual_clock().start().await;
    let platform = Platform::start().await;
    let (hanging, accepted) = (Gate::default(), Gate::default());
    // The first post hangs and fails, three more fail, and the last one hangs before it is accepted.
    platform.then(Channel::Done, [Step::held(&hanging, json(500, "{}"))]);
    platform.then(Channel::Done, vec![Step::answer(503); 3]);
    platform.then(Channel::Done, [Step::held(&accepted, json(200, "{}"))]);

    let worker = worker(&platform, &webui, &[]);
    platform.find(Channel::Ping, names_none).await;
    platform.offer("j1", &picture(7));
    soon(webui.gpu().rendering()).await;
    let named = platform
        .find_next(Channel::Ping, |ping| names(ping, "j1"))
        .await
        .at;
    platform.find_next(Channel::Ping, |ping| names(ping, "j1")).await;

    soon(webui.gpu().advance(1)).await;
    platform.request(Channel::Done, 1).await;
    platform.find_next(Channel::Ping, |ping| names(ping, "j1")).await;
    hanging.open();
    platform.request(Channel::Done, 5).await;
    platform.find_next(Channel::Ping, |ping| names(ping, "j1")).await;

    let silent = |ping: &Request| ping.at > named && !names(ping, "j1");
    let pings = platform.requests(Channel::Ping);
    assert!(
        !pings.iter().any(silent),
        "a ping left out a job that was still held"
    );
    accepted.open();
    platform.find_next(Channel::Ping, names_none).await;
    worker.says("Finished.").await;
}

#[tokio::test]
async fn a_heartbeat_that_fails_is_repeated_and_stops_nothing() {
    let webui = MockWebUi::start().await;
    let platform = Platform::start().await;
    platform.then(
        Channel::Ping,
        [
            Step::answer(500),
            Step::reset(""),
            Step::answer(429),
            Step::bytes("nonsense\r\n\r\n"),
        ],
    );
    let _worker = worker(&platform, &webui, &[]);
    platform.request(Channel::Ping, 6).await;
    platform.offer("j1", &picture(7));
    platform.result_of("j1").await;
}
