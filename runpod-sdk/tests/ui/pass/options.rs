//! Options do what the methods of the same name do.
#![deny(warnings)]

use std::time::Duration;

use runpod_sdk::prelude::*;

#[handler(concurrency = 4, timeout = "1h 30m")]
async fn greet(name: String) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

pub(crate) fn main() {
    let by_hand = Worker::<()>::new(greet)
        .concurrency(4)
        .timeout(Duration::from_secs(90 * 60));
    assert_eq!(format!("{:?}", greet::worker()), format!("{by_hand:?}"));

    // A later word wins.
    let more = greet::worker().concurrency(8);
    assert_eq!(format!("{more:?}"), format!("{:?}", by_hand.concurrency(8)));
}
