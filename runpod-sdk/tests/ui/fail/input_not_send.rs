use std::rc::Rc;

use runpod_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(from = "String")]
struct Name(Rc<str>);

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

#[handler]
async fn greet(name: Name) -> JobResult<String> {
    Ok(format!("Hello, {}!", name.0))
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(greet::worker())
}
