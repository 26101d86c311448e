//! The shapes of inputs.
//!
//! | the input | is |
//! |---|---|
//! | has the key `api`, and no keys but `api`, `payload` and `worker` | a request to the route that `api` names |
//! | has a list under `init_images` that is not empty | img2img |
//! | any other object, also one with `api` among other keys | txt2img |

use reqwest::Method;
use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::{RefusalReason, RequestError};
use super::routes::{self, AllowedRoutes};
use super::{JobOptions, Request};
use crate::splice::Object;
use crate::webui::{Call, JobKind};

/// Fails if the input is no object. The WebUI judges everything else about a plain input.
pub(super) fn require_object(input: &RawJson) -> Result<(), RequestError> {
    // The text is known to be JSON, so its first character tells what it is.
    let first = input.as_bytes().iter().find(|byte| !byte.is_ascii_whitespace());
    let found = match first {
        Some(b'{') => return Ok(()),
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null or missing",
        _ => "a number",
    };
    Err(RequestError::NotAnObject { found })
}

/// Whether the input has pictures for img2img. txt2img would silently drop them.
pub(super) fn has_init_images(input: &RawJson) -> bool {
    let text = input.as_str();
    text.contains("\"init_images\"")
        && Object::read(text)
            .and_then(|object| object.decode::<Vec<IgnoredAny>>("init_images"))
            .is_some_and(|pictures| !pictures.is_empty())
}

/// The form of the community's richer worker, with the job's options for this worker beside it.
#[derive(Debug)]
pub(super) struct ApiForm {
    method: Option<String>,
    endpoint: String,
    payload: Option<RawJson>,
    options: JobOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with endpoint and method")]
struct Api {
    #[serde(default)]
    method: Option<String>,
    endpoint: String,
}

/// The form, if the input has it. An input with its keys can be nothing else, so its mistakes are errors.
pub(super) fn api_form(input: &RawJson) -> Result<Option<ApiForm>, RequestError> {
    const KEYS: [&str; 3] = ["api", "payload", "worker"];
    let text = input.as_str();
    if !text.contains("\"api\"") {
        return Ok(None);
    }
    let Some(object) = Object::read(text) else {
        return Ok(None);
    };
    let Some(api) = object.get("api") else {
        return Ok(None);
    };
    if object.keys().any(|key| !KEYS.contains(&key)) {
        return Ok(None);
    }
    let api: Api = serde_json::from_str(api.get()).map_err(|error| RequestError::Form {
        path: "api".into(),
        why: without_position(&error),
    })?;
    let payload = object.get("payload").filter(|payload| payload.get() != "null");
    let payload = payload.map(|payload| slice(input, payload.get()));
    let options = match object.get("worker").filter(|options| options.get() != "null") {
        Some(options) => JobOptions::read(options.get())?,
        None => JobOptions::default(),
    };
    Ok(Some(ApiForm {
        method: api.method,
        endpoint: api.endpoint,
        payload,
        options,
    }))
}

impl ApiForm {
    /// The request of the form.
    pub(super) fn request(self, allowed: &AllowedRoutes) -> Result<Request, RequestError> {
        let route = routes::normal(&self.endpoint).ok_or_else(|| RequestError::Form {
            path: "api.endpoint".into(),
            why: "expected the path of a route, such as /sdapi/v1/txt2img".to_owned(),
        })?;
        let payload = self.payload.filter(|payload| !is_empty_object(payload));
        let method = match self.method.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("") => routes::only_method(&route).unwrap_or(if payload.is_some() {
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
            .gpu_use(&method, &route)
            .map_err(|why| refused(&method, &route, why))?;
        if method == Method::GET && payload.is_some() {
            return Err(RequestError::Form {
                path: "payload".into(),
                why: "a GET takes none; put it behind a ? in api.endpoint".to_owned(),
            });
        }
        // A POST without a payload sends an empty object, because some routes need a body.
        let body = (method == Method::POST).then(|| payload.unwrap_or_else(empty_object));
        Ok(Request {
            call: Call {
                job_kind: if method == Method::POST {
                    routes::job_kind(&route)
                } else {
                    JobKind::Nothing
                },
                method,
                route: route.into(),
                body,
            },
            gpu_use,
            options: self.options,
        })
    }
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

fn is_empty_object(payload: &RawJson) -> bool {
    Object::read(payload.as_str()).is_some_and(|object| object.keys().next().is_none())
}

/// A part of a text, which shares its bytes.
fn slice(whole: &RawJson, part: &str) -> RawJson {
    let bytes = whole.clone().into_bytes().slice_ref(part.as_bytes());
    RawJson::parse(bytes).unwrap_or_else(|_| RawJson::from(serde_json::Value::from(part)))
}

/// The message of a serde error without line and column, which count inside a part of the input.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
