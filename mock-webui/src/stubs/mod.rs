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

use wiremock::{Mock, MockServer, matchers};

use crate::server::Server;
use crate::ticket::Desk;
use fallback::Fallback;
use route::{Route, Stub};

/// Every route that this server could have; [`Route::exists_in`] says which its version has.
pub(crate) fn routes(server: &Server) -> Vec<Route> {
    [
        catalogue::routes(),
        control::routes(),
        generate::routes(),
        settings::routes(),
        extras::routes(server.profile()),
        process::routes(server),
        controlnet::routes(server),
        web_page::routes(server),
    ]
    .concat()
}

/// Mounts every route on the inner server.
pub(crate) async fn mount_all(inner: &MockServer, server: &Server, desk: &Desk) {
    let routes: Vec<Route> = routes(server)
        .into_iter()
        .filter(|route| route.exists_in(server.profile()))
        .collect();
    Mock::given(matchers::any())
        .respond_with(Fallback::new(&routes))
        .with_priority(u8::MAX)
        .named("anything else")
        .mount(inner)
        .await;
    for route in routes {
        Mock::given(matchers::method(route.method))
            .and(matchers::path(route.path))
            .respond_with(Stub::new(server.clone(), desk.clone(), route))
            .named(format!("{} {}", route.method, route.path))
            .mount(inner)
            .await;
    }
}
