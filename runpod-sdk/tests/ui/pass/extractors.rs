//! Arguments after the input: the context, the state, parts of it, and extractors of one's own.
#![deny(warnings)]

use std::sync::Arc;

use runpod_sdk::handler::{FromContext, FromRef};
use runpod_sdk::json::RawJson;
use runpod_sdk::prelude::*;

#[derive(Clone)]
struct App {
    model: Arc<Model>,
    words: Arc<[String]>,
}

struct Model;

impl FromRef<App> for Arc<Model> {
    fn from_ref(app: &App) -> Self {
        app.model.clone()
    }
}

impl FromRef<App> for Arc<[String]> {
    fn from_ref(app: &App) -> Self {
        app.words.clone()
    }
}

struct Short(String);

impl<S> FromContext<S> for Short {
    fn from_context(context: &Context, _: &S) -> Self {
        Self(context.job_id().as_str().chars().take(8).collect())
    }
}

#[handler(state = App)]
async fn paint(
    _input: RawJson,
    mut ctx: Context,
    State(_model): State<Arc<Model>>,
    State(words): State<Arc<[String]>>,
    Short(id): Short,
    _: State<App>,
    _again: Short,
    _and_again: Short,
    _eighth: Short,
) -> JobResult<String> {
    let other = ctx.clone();
    ctx = other;
    ctx.progress("begun");
    Ok(format!("{id} {}", words.join(" ")))
}

#[handler]
async fn same_state_twice(_input: RawJson, State(_a): State<App>, State(_b): State<App>) -> JobResult<()> {
    Ok(())
}

pub(crate) fn main() {
    let app = App {
        model: Arc::new(Model),
        words: Arc::new([]),
    };
    let _: Worker = paint::worker().state(app.clone());
    let _: Worker = same_state_twice::worker().state_with(async || Ok::<_, std::io::Error>(app));
}
