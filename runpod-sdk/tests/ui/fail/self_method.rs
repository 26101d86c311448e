use runpod_sdk::prelude::*;

struct Greeter;

impl Greeter {
    #[handler]
    async fn greet(&self, name: String) -> JobResult<String> {
        Ok(format!("Hello, {name}!"))
    }
}

fn main() {}
