//! One route: what wiremock matches and who answers.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::header::HeaderName;
use serde_json::{Map, Value};
use wiremock::{Request, Respond, ResponseTemplate};

use crate::answer::{Answer, Failure};
use crate::auth;
use crate::deferred::{DEFERRED, DeferredAnswers, OWN, Work};
use crate::faults::ActiveFaults;
use crate::gpu::QueuePlace;
use crate::profile::{Family, Profile};
use crate::request::body::Body;
use crate::request::{Field, Fields};
use crate::server::Server;

/// An answer that takes time.
pub(crate) type Later = BoxFuture<'static, Result<Answer, Failure>>;

/// Answers at once, without looking at the body.
type Direct = fn(&Server, &Request) -> Result<Answer, Failure>;

/// Answers from the list of the server's routes.
type Listing = fn(&Server, &[Route]) -> Answer;

/// A request that has passed the checks.
#[derive(Debug)]
pub(crate) struct Call<Input> {
    pub(crate) server: Server,
    pub(crate) input: Input,
    pub(crate) faults: ActiveFaults,
}

/// Fields, and the place in the queue that was taken on arrival if the route takes one.
type Checked = fn(Call<(Fields, Option<QueuePlace>)>) -> Later;
/// Any object.
type Open = fn(Call<Map<String, Value>>) -> Later;
/// No body, but a place in the queue.
type Locked = fn(Call<QueuePlace>) -> Later;

/// Who answers.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Direct(Direct),
    Listing(Listing),
    Checked {
        table: fn() -> &'static [Field],
        queued: bool,
        run: Checked,
    },
    Open(Open),
    Locked(Locked),
}

/// A method and path of the API, and the versions that have it.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) handler: Handler,
    /// Whether `--api-auth` guards it.
    pub(crate) guarded: bool,
    since: Profile,
    until: Profile,
    families: &'static [Family],
}

impl Route {
    const fn new(method: &'static str, path: &'static str, handler: Handler) -> Self {
        Self {
            method,
            path,
            handler,
            guarded: true,
            since: Profile::V1_6,
            until: Profile::Forge,
            families: &[Family::A1111, Family::SdNext, Family::Forge],
        }
    }

    pub(crate) const fn get(path: &'static str, answer: Direct) -> Self {
        Self::new("GET", path, Handler::Direct(answer))
    }

    pub(crate) const fn listing(path: &'static str, answer: Listing) -> Self {
        Self::new("GET", path, Handler::Listing(answer))
    }

    pub(crate) const fn post(path: &'static str, answer: Direct) -> Self {
        Self::new("POST", path, Handler::Direct(answer))
    }

    pub(crate) const fn post_locked(path: &'static str, run: Locked) -> Self {
        Self::new("POST", path, Handler::Locked(run))
    }

    pub(crate) const fn post_open(path: &'static str, run: Open) -> Self {
        Self::new("POST", path, Handler::Open(run))
    }

    /// A route with a table of fields. `queued` ones take a place in the queue on arrival.
    pub(crate) const fn post_checked(
        path: &'static str,
        table: fn() -> &'static [Field],
        queued: bool,
        run: Checked,
    ) -> Self {
        Self::new("POST", path, Handler::Checked { table, queued, run })
    }

    pub(crate) const fn open_to_all(mut self) -> Self {
        self.guarded = false;
        self
    }

    pub(crate) const fn since(mut self, profile: Profile) -> Self {
        self.since = profile;
        self
    }

    pub(crate) const fn until(mut self, profile: Profile) -> Self {
        self.until = profile;
        self
    }

    /// Only these servers have it.
    pub(crate) const fn only(mut self, families: &'static [Family]) -> Self {
        self.families = families;
        self
    }

    pub(crate) fn exists_in(&self, profile: Profile) -> bool {
        (self.since..=self.until).contains(&profile) && self.families.contains(&profile.family())
    }
}

/// A route as a wiremock responder.
pub(crate) struct Stub {
    server: Server,
    deferred: DeferredAnswers,
    route: Route,
    routes: Arc<[Route]>,
}

impl Stub {
    pub(crate) fn new(server: Server, deferred: DeferredAnswers, route: Route, routes: Arc<[Route]>) -> Self {
        Self {
            server,
            deferred,
            route,
            routes,
        }
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.route.guarded {
            auth::check(self.server.profile(), &self.server.setup().credentials, headers)
        } else {
            Ok(())
        }
    }

    /// Defers the work and answers with its number. The order of checks is the server's:
    /// syntax, authentication, validation (§10).
    fn later(&self, request: &Request) -> ResponseTemplate {
        let server = self.server.clone();
        let allowed = self.authenticate(&request.headers);
        let headers = request.headers.clone();
        let work: Work = match self.route.handler {
            Handler::Direct(_) | Handler::Listing(_) => unreachable!("answered at once"),
            Handler::Locked(run) => {
                let place = allowed.map(|()| server.gpu().take_place());
                Box::new(move |_, faults| {
                    finish(server.clone(), async move {
                        run(Call {
                            server,
                            input: place?,
                            faults,
                        })
                        .await
                    })
                })
            }
            Handler::Open(run) => Box::new(move |bytes: Bytes, faults| {
                finish(server.clone(), async move {
                    let body = Body::read(&headers, &bytes)
                        .map_err(|failure| Body::Missing.reworded(failure, server.profile()))?;
                    allowed?;
                    let input = body.any_object(server.profile())?;
                    run(Call {
                        server,
                        input,
                        faults,
                    })
                    .await
                })
            }),
            Handler::Checked { table, queued, run } => {
                let place = (queued && allowed.is_ok()).then(|| server.gpu().take_place());
                Box::new(move |bytes: Bytes, faults| {
                    finish(server.clone(), async move {
                        let body = Body::read(&headers, &bytes)
                            .map_err(|failure| Body::Missing.reworded(failure, server.profile()))?;
                        drop(bytes);
                        allowed?;
                        let fields = body.check(table(), server.profile())?;
                        run(Call {
                            server,
                            input: (fields, place),
                            faults,
                        })
                        .await
                    })
                })
            }
        };
        ResponseTemplate::new(200).insert_header(DEFERRED, self.deferred.defer(work).to_string().as_str())
    }
}

fn finish(
    server: Server,
    work: impl Future<Output = Result<Answer, Failure>> + Send + 'static,
) -> BoxFuture<'static, Answer> {
    async move { server.answer(work.await) }.boxed()
}

impl Respond for Stub {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match self.route.handler {
            Handler::Direct(answer) => template(
                self.server.answer(
                    self.authenticate(&request.headers)
                        .and_then(|()| answer(&self.server, request)),
                ),
            ),
            Handler::Listing(answer) => template(
                self.server.answer(
                    self.authenticate(&request.headers)
                        .map(|()| answer(&self.server, &self.routes)),
                ),
            ),
            Handler::Checked { .. } | Handler::Open(_) | Handler::Locked(_) => self.later(request),
        }
    }
}

/// An answer in wiremock's terms.
pub(crate) fn template(answer: Answer) -> ResponseTemplate {
    let mut template = ResponseTemplate::new(answer.status)
        .insert_header(OWN, if answer.timed { "timed" } else { "untimed" });
    for (name, value) in answer.headers {
        template = template.append_header(HeaderName::from_static(name), value.as_str());
    }
    match answer.content_type {
        Some(kind) => template.set_body_raw(answer.body.to_vec(), kind),
        None => template.set_body_bytes(answer.body.to_vec()),
    }
}
