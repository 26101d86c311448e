//! The routes, as wiremock stubs.
//!
//! One stub a route, at the default priority; a stub with a better priority that a test mounts wins. A last
//! stub answers whatever no route takes, as the web framework does.

mod catalogue;
mod control;
mod controlnet;
mod extras;
mod fallback;
mod generate;
mod openapi;
mod preflight;
mod process;
mod route;
mod settings;
mod web_page;

use std::sync::Arc;

use wiremock::{Mock, MockServer, matchers};

use crate::deferred::DeferredAnswers;
use crate::server::Server;
use fallback::Fallback;
use route::{Route, Stub};

/// The routes that this server has.
fn routes(server: &Server) -> Arc<[Route]> {
    let all = [
        catalogue::routes(),
        control::routes(server.profile()),
        generate::routes(server.profile()),
        settings::routes(),
        extras::routes(server.profile()),
        process::routes(server),
        controlnet::routes(server),
        web_page::routes(server),
    ]
    .concat();
    let exists = |route: &Route| route.exists_in(server.profile());
    all.into_iter().filter(exists).collect()
}

/// Mounts every route on the inner server.
pub(crate) async fn mount_all(inner: &MockServer, server: &Server, deferred: &DeferredAnswers) {
    let routes = routes(server);
    Mock::given(matchers::any())
        .respond_with(Fallback::new(&routes))
        .with_priority(u8::MAX)
        .named("anything else")
        .mount(inner)
        .await;
    for &route in &*routes {
        Mock::given(matchers::method(route.method))
            .and(matchers::path(route.path))
            .respond_with(Stub::new(
                server.clone(),
                deferred.clone(),
                route,
                Arc::clone(&routes),
            ))
            .named(format!("{} {}", route.method, route.path))
            .mount(inner)
            .await;
    }
}
