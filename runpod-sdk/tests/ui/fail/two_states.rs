use runpod_sdk::prelude::*;

#[derive(Clone)]
struct Words(String);

#[derive(Clone)]
struct Count(u32);

#[handler]
async fn greet(name: String, State(words): State<Words>, State(count): State<Count>) -> JobResult<String> {
    Ok(format!("{}, {name}! ({})", words.0, count.0))
}

fn main() {
    let _ = greet::worker().state(Words("Hello".into()));
}
