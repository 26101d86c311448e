//! Documentation and other attributes stay on the function, and lints stay quiet about what is beside it.
#![deny(warnings)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
#![forbid(unsafe_code)]

use runpod_sdk::prelude::*;

/// Says hello.
#[handler]
#[must_use = "a greeting is for a person"]
#[allow(clippy::unused_async)]
pub async fn greet(#[allow(unused_variables)] name: String) -> JobResult<String> {
    Ok("Hello!".into())
}

/// Says hello as we used to.
#[handler]
#[deprecated = "say hello by `greet`"]
pub async fn welcome(name: String) -> JobResult<String> {
    Ok(format!("Welcome, {name}!"))
}

#[handler]
#[cfg(any())]
async fn never(name: NoSuchType) -> JobResult<String> {
    Ok(name)
}

pub(crate) fn main() {
    let _: Worker = greet::worker();
    let _: Worker = welcome::worker();
}
