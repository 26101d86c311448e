//! A model that is loaded once and shared by all jobs, four at a time.
//!
//! ```text
//! cargo run --example stateful_model -- --test_input '{"input": "a cat"}'
//! cargo run --example stateful_model --features local-server -- \
//!     --rp_serve_api --test_input '{"input": "a cat"}'
//! ```

use std::sync::Arc;

use runpod_sdk::prelude::*;

/// Stands for some gigabytes of weights.
struct Model {
    name: String,
}

impl Model {
    async fn load(name: &str) -> std::io::Result<Self> {
        tokio::task::yield_now().await;
        Ok(Self {
            name: name.to_owned(),
        })
    }
}

#[derive(Clone)]
struct App {
    model: Arc<Model>,
}

#[handler(concurrency = 4)]
async fn paint(prompt: String, State(app): State<App>) -> JobResult<String> {
    Ok(format!("{} by {}", prompt, app.model.name))
}

fn main() -> std::process::ExitCode {
    // Loaded after the fitness checks and before the first job. If it fails, the worker takes none.
    let load = || async {
        Ok::<_, std::io::Error>(App {
            model: Arc::new(Model::load("tiny").await?),
        })
    };
    runpod_sdk::start(paint::worker().state_with(load))
}
