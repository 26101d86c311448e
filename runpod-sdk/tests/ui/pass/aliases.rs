//! Types are looked at through traits: an alias is as good as the type.
#![deny(warnings)]

use runpod_sdk::Context as Ctx;
use runpod_sdk::prelude::*;

type Prompt = std::collections::HashMap<String, Vec<u8>>;
type Answer<T> = Result<T, Failure>;
type Failure = JobError;
type App = std::sync::Arc<str>;
type TheApp = State<App>;

#[handler]
async fn input_and_output(input: Prompt, _ctx: Ctx) -> Answer<usize> {
    Ok(input.len())
}

#[handler]
async fn state_inside(_input: Prompt, State(app): State<App>) -> Answer<usize> {
    Ok(app.len())
}

#[handler(state = App)]
async fn state_outside(_input: Prompt, app: TheApp) -> Answer<usize> {
    Ok(app.0.len())
}

pub(crate) fn main() {
    let _: Worker = input_and_output::worker();
    let _: Worker = state_inside::worker().state("app".into());
    let _: Worker = state_outside::worker().state("app".into());
}
