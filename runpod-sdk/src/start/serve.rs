//! `--rp_serve_api`: the platform on this machine, and the worker's own production loop against it.
//!
//! What runs is what is deployed. Only the URLs in the environment are different.

use std::collections::BTreeMap;

use super::flags::Serve;
use super::{Starting, production, say};
use crate::error::Error;
use crate::local::LocalPlatform;
use crate::runtime::Ended;
use crate::worker::Worker;

const ENDPOINT: &str = "local";
const WORKER: &str = "local-worker";

pub(super) fn run(
    worker: Worker,
    serve: &Serve,
    lookup: impl Fn(&str) -> Option<String> + Copy,
    starting: Starting,
) -> Result<Ended, Error> {
    let worker = match serve.concurrency {
        Some(jobs) => worker.concurrency(jobs.get()),
        None => worker,
    };
    // The platform gets threads of its own: it is another machine in production.
    let platform_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("local-platform")
        .enable_all()
        .build()
        .map_err(|error| Error::Startup(format!("no runtime for the local platform: {error}").into()))?;
    let endpoint = lookup("RUNPOD_ENDPOINT_ID")
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| ENDPOINT.to_owned());
    let mut builder = LocalPlatform::builder().endpoint(&endpoint).listen(serve.address);
    if let Some(key) = lookup("RUNPOD_API_KEY").filter(|key| !key.is_empty()) {
        builder = builder.api_key(key);
    }
    let platform = platform_threads
        .block_on(builder.start())
        .map_err(|error| Error::Startup(error.into()))?;

    let url = platform.url();
    say(&format!(
        "RunPod's API for this worker: {url} (endpoint `{endpoint}`)\n\
         Try it:  curl -s {url}/runsync -d '{{\"input\": …}}'\n\
         Clients: RUNPOD_ENDPOINT_BASE_URL={}\n\
         Stop it: Ctrl-C",
        platform.client_base_url(),
    ));
    let environment: BTreeMap<String, String> = platform.worker_env(&endpoint, WORKER).into_iter().collect();
    let environment = &environment;
    let environment = |name: &str| environment.get(name).cloned().or_else(|| lookup(name));
    let ended = production::run(worker, environment, starting);
    platform_threads.block_on(platform.shutdown());
    platform_threads.shutdown_background();
    ended
}
