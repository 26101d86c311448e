//! `crate = path` for a dependency that is known by another name.
#![deny(warnings)]

mod vendored {
    pub(crate) use runpod_sdk as workers;
}

/// Hides the real one, so that nothing finds it by accident.
mod runpod_sdk {}

use vendored::workers::prelude::*;

#[handler(crate = vendored::workers)]
async fn greet(name: String) -> JobResult<String> {
    Ok(format!("Hello, {name}!"))
}

#[handler(crate = crate::pass::renamed_crate::vendored::workers, blocking)]
fn wave(name: String) -> JobResult<String> {
    Ok(format!("o/ {name}"))
}

pub(crate) fn main() {
    let _: Worker = greet::worker();
    let _: Worker = wave::worker();
}
