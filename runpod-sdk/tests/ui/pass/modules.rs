//! The worker is as visible as the function, and one `use` brings both.
#![deny(warnings)]

mod greetings {
    use runpod_sdk::prelude::*;

    #[handler]
    pub(crate) async fn greet(name: String) -> JobResult<String> {
        Ok(format!("Hello, {name}!"))
    }

    pub(crate) mod inner {
        use runpod_sdk::prelude::*;

        #[handler]
        pub(in crate::pass::modules::greetings) async fn wave(name: String) -> JobResult<String> {
            Ok(format!("o/ {name}"))
        }

        #[handler]
        pub(super) async fn nod(name: String) -> JobResult<String> {
            Ok(format!("..{name}"))
        }
    }

    pub(crate) fn waving() -> Worker {
        let _ = inner::nod::worker();
        inner::wave::worker()
    }
}

use greetings::greet;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    assert_eq!(greet("World".into()).await.unwrap(), "Hello, World!");
    let _ = greet::worker();
    let _ = greetings::waving();
}
