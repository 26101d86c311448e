//! The shapes of inputs.
//!
//! | the input | is |
//! |---|---|
//! | has the key `api`, and else only the body under `payload`, `params` or `body`, and `worker` | a request to the route that `api` names |
//! | has `init_images` | img2img |
//! | has a field of txt2img | txt2img |
//! | anything else | refused |

use reqwest::Method;
use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{NotARequest, RequestError, RightForm, without_position};
use super::refusal_reason::RefusalReason;
use super::render_body::RenderBody;
use super::routes::{self, LONGEST_ROUTE};
use super::{Allowed, GpuUse, JobOptions, Request};
use crate::splice::{Edits, Object};
use crate::webui::{Call, IMG2IMG, JobKind, TXT2IMG};

const OPTIONS: &str = "worker";
/// The names of the body beside `api`. The first is this worker's own.
const BODIES: [&str; 3] = ["payload", "params", "body"];

/// The keys of the input. Fails if it is no object.
pub(super) fn keys(input: &RawJson) -> Result<Object<'_>, RequestError> {
    // The text is known to be JSON, so its first character tells what it is.
    let first = input.as_bytes().iter().find(|byte| !byte.is_ascii_whitespace());
    let found = match first {
        Some(b'{') => "an object with a key that is no text",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null or missing",
        _ => "a number",
    };
    Object::read(input.as_str()).ok_or(RequestError::NotAnObject { found })
}

/// The request of an input without `api`: the body of txt2img or img2img, with the job's options beside its fields.
pub(super) fn plain(
    input: &RawJson,
    object: &Object<'_>,
    allowed: &Allowed,
) -> Result<Request, RequestError> {
    let kind = if object.get("init_images").is_some() {
        JobKind::Img2Img
    } else {
        JobKind::Txt2Img
    };
    let options = options(object)?;
    let body = RenderBody {
        object,
        kind,
        place: "",
    };
    let single = body.check()?;
    let route = if kind == JobKind::Img2Img {
        IMG2IMG
    } else {
        TXT2IMG
    };
    allowed.settings.check(route, input.as_str(), "")?;
    let mut edits = Edits::of(input.as_str());
    if let Some(picture) = single {
        edits.replace(picture, format!("[{}]", picture.get()));
    }
    // The options are no fields of the WebUI.
    if let Some(value) = object.get(OPTIONS)
        && !edits.remove(OPTIONS, value)
    {
        return Err(twice_or_escaped());
    }
    let body = edited(input, edits);
    Ok(Request {
        call: match kind {
            JobKind::Img2Img => Call::img2img(body),
            _ => Call::txt2img(body),
        },
        gpu_use: GpuUse::Render,
        options,
    })
}

/// The text with its edits; the same bytes if there are none.
fn edited(text: &RawJson, edits: Edits<'_>) -> RawJson {
    if edits.is_empty() {
        return text.clone();
    }
    edits.apply().unwrap_or_else(|| text.clone())
}

fn options(object: &Object<'_>) -> Result<JobOptions, RequestError> {
    if object.count(OPTIONS) > 1 {
        return Err(twice_or_escaped());
    }
    match object.get(OPTIONS).filter(|options| options.get() != "null") {
        Some(options) => JobOptions::read(options.get()),
        None => Ok(JobOptions::default()),
    }
}

fn twice_or_escaped() -> RequestError {
    RequestError::Form {
        path: OPTIONS.into(),
        why: "expected once, and written without escapes".to_owned(),
    }
}

/// The form of the community's richer worker, with the job's options for this worker beside it.
#[derive(Debug)]
pub(super) struct ApiForm {
    method: Option<String>,
    endpoint: String,
    /// The body, and the key that it stands under.
    body: Option<(&'static str, RawJson)>,
    options: JobOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with endpoint and method")]
struct Api {
    #[serde(default)]
    method: Option<String>,
    endpoint: String,
}

impl ApiForm {
    /// The form, if the input has the key `api`. An input with it can be nothing else, so its mistakes are errors.
    pub(super) fn read(input: &RawJson, object: &Object<'_>) -> Result<Option<Self>, RequestError> {
        let Some(api) = object.get("api") else {
            return Ok(None);
        };
        let is_known = |key: &str| key == "api" || key == OPTIONS || BODIES.contains(&key);
        if let Some(other) = object.keys().find(|key| !is_known(key)) {
            return Err(NotARequest {
                path: other.chars().take(60).collect(),
                why: "not taken beside api; the fields of the request go into payload".to_owned(),
                form: RightForm::Api("txt2img"),
            }
            .into());
        }
        let api: Api = serde_json::from_str(api.get()).map_err(|error| RequestError::Form {
            path: "api".into(),
            why: without_position(&error),
        })?;
        Ok(Some(Self {
            method: api.method,
            endpoint: api.endpoint,
            body: body(input, object)?,
            options: options(object)?,
        }))
    }

    /// The request of the form.
    pub(super) fn request(self, allowed: &Allowed) -> Result<Request, RequestError> {
        if self.endpoint.len() > LONGEST_ROUTE {
            return Err(RequestError::Form {
                path: "api.endpoint".into(),
                why: format!("longer than {LONGEST_ROUTE} bytes"),
            });
        }
        let route = routes::normal(&self.endpoint).ok_or_else(|| RequestError::Form {
            path: "api.endpoint".into(),
            why: "expected the path of a route, such as /sdapi/v1/txt2img".to_owned(),
        })?;
        let given = self.body.filter(|(_, body)| !is_empty_object(body));
        let method = match self.method.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("") => routes::only_method(&route).unwrap_or(if given.is_some() {
                Method::POST
            } else {
                Method::GET
            }),
            Some("GET") => Method::GET,
            Some("POST") => Method::POST,
            Some(_) => {
                return Err(RequestError::Form {
                    path: "api.method".into(),
                    why: "expected GET or POST".to_owned(),
                });
            }
        };
        let gpu_use = allowed
            .routes
            .gpu_use(&method, &route)
            .map_err(|why| refused(&method, &route, why))?;
        let (key, given) = match given {
            Some((key, body)) => (key, Some(body)),
            None => (BODIES[0], None),
        };
        if method == Method::GET && given.is_some() {
            return Err(RequestError::Form {
                path: key.into(),
                why: "a GET takes none; put it behind a ? in api.endpoint".to_owned(),
            });
        }
        // A POST without a body sends an empty object, because some routes need one.
        let body = (method == Method::POST).then(|| given.unwrap_or_else(empty_object));
        let job_kind = if method == Method::POST {
            routes::job_kind(&route)
        } else {
            JobKind::Nothing
        };
        let body = match body {
            Some(body) if job_kind.is_render() => Some(render_body(&body, job_kind, key)?),
            body => body,
        };
        if let Some(body) = &body {
            allowed.settings.check(&route, body.as_str(), key)?;
        }
        Ok(Request {
            call: Call {
                job_kind,
                method,
                route: route.into(),
                body,
            },
            gpu_use,
            options: self.options,
        })
    }
}

/// The body of the form, and its key.
fn body(input: &RawJson, object: &Object<'_>) -> Result<Option<(&'static str, RawJson)>, RequestError> {
    let given = |key: &str| object.get(key).filter(|body| body.get() != "null");
    let mut found = BODIES.into_iter().filter_map(|key| Some((key, given(key)?)));
    let first: Option<(&'static str, &RawValue)> = found.next();
    if let (Some((first, _)), Some((second, _))) = (first, found.next()) {
        return Err(RequestError::Form {
            path: second.into(),
            why: format!("the body of the request is {first} already"),
        });
    }
    Ok(first.map(|(key, body)| (key, slice(input, body.get()))))
}

/// A body of txt2img or img2img that may be sent.
fn render_body(body: &RawJson, kind: JobKind, place: &'static str) -> Result<RawJson, RequestError> {
    let text = body.as_str();
    let object = Object::read(text).ok_or_else(|| RequestError::Form {
        path: place.into(),
        why: "expected an object with the fields of the route".to_owned(),
    })?;
    let checked = RenderBody {
        object: &object,
        kind,
        place,
    };
    let mut edits = Edits::of(text);
    if let Some(picture) = checked.check()? {
        edits.replace(picture, format!("[{}]", picture.get()));
    }
    Ok(edited(body, edits))
}

fn refused(method: &Method, route: &str, why: RefusalReason) -> RequestError {
    RequestError::Refused {
        method: method.to_string(),
        route: route.chars().take(100).collect(),
        why,
    }
}

fn empty_object() -> RawJson {
    RawJson::from(serde_json::json!({}))
}

fn is_empty_object(body: &RawJson) -> bool {
    Object::read(body.as_str()).is_some_and(|object| object.keys().next().is_none())
}

/// A part of a text, which shares its bytes.
fn slice(whole: &RawJson, part: &str) -> RawJson {
    let bytes = whole.clone().into_bytes().slice_ref(part.as_bytes());
    RawJson::parse(bytes).unwrap_or_else(|_| RawJson::from(serde_json::Value::from(part)))
}
