//! The function stays what it is: a test calls it without a worker.
#![deny(warnings)]

use runpod_sdk::prelude::*;

#[derive(serde::Deserialize)]
struct Greeting {
    name: String,
}

#[handler]
async fn greet(Greeting { name }: Greeting, State(word): State<String>) -> JobResult<String> {
    Ok(format!("{word}, {name}!"))
}

#[handler(blocking)]
fn double(n: u32) -> JobResult<u32> {
    Ok(n * 2)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let input = Greeting { name: "World".into() };
    let greeting = greet(input, State("Hello".into())).await;
    assert_eq!(greeting.unwrap(), "Hello, World!");
    assert_eq!(double(21).unwrap(), 42);
    let _: Worker<String> = greet::worker();
    let _: Worker = double::worker();
}
