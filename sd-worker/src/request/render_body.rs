//! Which bodies of txt2img and img2img are requests.
//!
//! The WebUI renders any object: what it does not know it drops, and what is missing has a default. So a body that was
//! meant otherwise becomes a picture of nothing, in 50 steps, which the user pays for. Such bodies are refused before
//! anything renders, with what was probably meant.

use serde_json::value::RawValue;

use super::error::{NotARequest, RightForm};
use super::fields::{fields_of, is_field, meant};
use super::routes;
use crate::splice::Object;
use crate::webui::JobKind;

/// Keys under which other workers name the route, beside the fields of its body.
const ROUTE_KEYS: [&str; 6] = [
    "api_name",
    "endpoint",
    "route",
    "path",
    "api_endpoint",
    "method_name",
];
/// What `api_name` calls some routes in other workers.
const ROUTE_NAMES: [(&str, &str); 5] = [
    ("getmodels", "sd-models"),
    ("getoptions", "options"),
    ("setoptions", "options"),
    ("getsamplers", "samplers"),
    ("getloras", "loras"),
];
/// The most keys that a message lists.
const MOST_LISTED: usize = 5;

/// A body of txt2img or img2img.
#[derive(Debug, Clone, Copy)]
pub(super) struct RenderBody<'o, 'a> {
    pub(super) object: &'o Object<'a>,
    pub(super) kind: JobKind,
    /// Where it stands in the input, such as `payload`; empty for the input itself.
    pub(super) place: &'static str,
}

impl<'a> RenderBody<'_, 'a> {
    /// Fails if the body is no request. Returns the value of `init_images` if that is one text, which means a list of
    /// one.
    pub(super) fn check(self) -> Result<Option<&'a RawValue>, NotARequest> {
        let single = self.init_images()?;
        self.another_route()?;
        self.wrapped()?;
        self.misnamed_prompt()?;
        self.misnamed_pictures()?;
        self.mask_alone()?;
        self.asks_for_something()?;
        Ok(single)
    }

    fn init_images(self) -> Result<Option<&'a RawValue>, NotARequest> {
        let Some(value) = self.object.get("init_images") else {
            return Ok(None);
        };
        let found = match Shape::of(value) {
            Shape::Text if is_empty(value) => "an empty text",
            Shape::List if is_empty(value) => "an empty list",
            Shape::Text | Shape::List if self.kind == JobKind::Txt2Img => {
                let why = "txt2img takes no pictures and would drop them; name /sdapi/v1/img2img";
                return Err(self.refused("init_images", why.to_owned(), RightForm::Api("img2img")));
            }
            Shape::Text => return Ok(Some(value)),
            Shape::List => return Ok(None),
            Shape::Object => "an object",
            Shape::Null => "null",
            Shape::Other => "no picture",
        };
        let why = format!("expected a list of pictures as base64 or URLs, found {found}");
        let form = self.form(RightForm::FromPicture);
        Err(self.refused(
            "init_images",
            format!("{why}; leave it away for a picture from a text alone"),
            form,
        ))
    }

    /// A key names another route than the one that the body would go to.
    fn another_route(self) -> Result<(), NotARequest> {
        for (key, value) in self.others().filter(|(key, _)| ROUTE_KEYS.contains(key)) {
            let Some(named) = text(value) else { continue };
            let Some(route) = named_route(&named) else {
                continue;
            };
            if Some(route) != route_name(self.kind) {
                let why = format!(
                    "this is no field; \"{}\" is a route and goes into api",
                    shortened(&named)
                );
                return Err(self.refused(key, why, RightForm::Api(route)));
            }
        }
        Ok(())
    }

    /// A whole request stands under another key.
    fn wrapped(self) -> Result<(), NotARequest> {
        if self.object.get("prompt").is_some() {
            return Ok(());
        }
        let has_fields = self.object.keys().any(|key| is_field(self.kind, key));
        for (key, value) in self.others() {
            if holds_a_request(value, has_fields) {
                let names_a_route = self
                    .object
                    .keys()
                    .any(|key| ROUTE_KEYS.contains(&key) || key == "method");
                let form = if names_a_route {
                    RightForm::Api("txt2img")
                } else {
                    self.form(RightForm::Plain)
                };
                let why = "the request stands under this key; put its fields one level higher";
                return Err(self.refused(key, why.to_owned(), form));
            }
        }
        Ok(())
    }

    fn misnamed_prompt(self) -> Result<(), NotARequest> {
        if self.object.get("prompt").is_some() {
            return Ok(());
        }
        for (key, value) in self.others() {
            if matches!(Shape::of(value), Shape::Text | Shape::List)
                && self.meant(key).as_deref() == Some("prompt")
            {
                return Err(self.misnamed(key, "prompt", self.form(RightForm::Plain)));
            }
        }
        Ok(())
    }

    fn misnamed_pictures(self) -> Result<(), NotARequest> {
        if self.object.get("init_images").is_some() {
            return Ok(());
        }
        for (key, value) in self.others() {
            let is_a_picture = matches!(Shape::of(value), Shape::Text | Shape::List | Shape::Object);
            // The near misses are those of img2img's field.
            let meant = || meant(key, fields_of(JobKind::Img2Img));
            if is_a_picture && !is_empty(value) && meant().as_deref() == Some("init_images") {
                return Err(self.misnamed(key, "init_images", self.form(RightForm::FromPicture)));
            }
        }
        Ok(())
    }

    /// A mask without a picture, which txt2img drops.
    fn mask_alone(self) -> Result<(), NotARequest> {
        let mask = self.object.get("mask").filter(|mask| !is_empty(mask));
        if self.kind == JobKind::Txt2Img && mask.is_some() {
            let why = "a mask needs a picture under init_images; txt2img would drop it".to_owned();
            return Err(self.refused("mask", why, self.form(RightForm::FromPicture)));
        }
        Ok(())
    }

    /// At least one field of the route has a value.
    fn asks_for_something(self) -> Result<(), NotARequest> {
        let mut fields = self
            .object
            .iter()
            .filter(|(key, _)| is_field(self.kind, key))
            .peekable();
        let Some((first, _)) = fields.peek() else {
            return Err(self.foreign());
        };
        let first = (*first).to_owned();
        if fields.all(|(_, value)| Shape::of(value) == Shape::Null) {
            let why = "must not be null, and nothing else is asked for".to_owned();
            return Err(self.refused(&first, why, self.form(RightForm::Plain)));
        }
        Ok(())
    }

    /// No key is a field of the route.
    fn foreign(self) -> NotARequest {
        let route = route_name(self.kind).unwrap_or_default();
        let keys: Vec<String> = self.object.keys().take(MOST_LISTED).map(shortened).collect();
        let form = self.form(RightForm::Plain);
        if keys.is_empty() {
            return self.refused(
                "",
                format!("empty; {route} would render a picture of nothing"),
                form,
            );
        }
        let more = if self.object.keys().count() > MOST_LISTED {
            ", …"
        } else {
            ""
        };
        let meant = self
            .object
            .keys()
            .find_map(|key| Some((shortened(key), self.meant(key)?)));
        let meant = meant.map(|(key, meant)| format!("; did you mean {meant} by {key}?"));
        let why = format!(
            "no key is a field of {route}: {}{more}{}",
            keys.join(", "),
            meant.unwrap_or_default()
        );
        self.refused("", why, form)
    }

    /// The keys that are fields of neither route.
    fn others(self) -> impl Iterator<Item = (&'a str, &'a RawValue)>
    where
        Self: 'a,
    {
        let is_known = |key: &str| is_field(JobKind::Txt2Img, key) || is_field(JobKind::Img2Img, key);
        self.object.iter().filter(move |(key, _)| !is_known(key))
    }

    fn meant(self, key: &str) -> Option<String> {
        meant(key, fields_of(self.kind))
    }

    fn misnamed(self, key: &str, meant: &str, form: RightForm) -> NotARequest {
        let why = format!("the WebUI does not know this field and would drop it; did you mean {meant}?");
        self.refused(key, why, form)
    }

    /// The form to show: a body in the api form stays in it.
    fn form(self, plain: RightForm) -> RightForm {
        match (self.place, route_name(self.kind)) {
            ("", _) | (_, None) => plain,
            (_, Some(route)) => RightForm::Api(route),
        }
    }

    fn refused(self, key: &str, why: String, form: RightForm) -> NotARequest {
        let key = shortened(key);
        let path = match (self.place, key.as_str()) {
            ("", key) => key.to_owned(),
            (place, "") => place.to_owned(),
            (place, key) => format!("{place}.{key}"),
        };
        NotARequest { path, why, form }
    }
}

/// The kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    List,
    Object,
    Null,
    Other,
}

impl Shape {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            Some(b'n') => Self::Null,
            _ => Self::Other,
        }
    }
}

/// Whether a value is null, or a text, list or object without content.
fn is_empty(value: &RawValue) -> bool {
    let text = value.get();
    match Shape::of(value) {
        Shape::Null => true,
        Shape::Other => false,
        Shape::Text if text.contains('\\') => self::text(value).is_some_and(|text| text.trim().is_empty()),
        _ => text[1..text.len() - 1].trim().is_empty(),
    }
}

/// Whether a request stands in a value: an object, one in a list, or one written as a text. `clearly` asks for more
/// than any field.
fn holds_a_request(value: &RawValue, clearly: bool) -> bool {
    const KEYS: [&str; 4] = ["prompt", "init_images", "api", "payload"];
    let has_fields = |text: &str| {
        Object::read(text).is_some_and(|object| {
            object.keys().any(|key| {
                let any =
                    is_field(JobKind::Txt2Img, key) || is_field(JobKind::Img2Img, key) || key == "input";
                KEYS.contains(&key) || (any && !clearly)
            })
        })
    };
    match Shape::of(value) {
        Shape::Object => has_fields(value.get()),
        Shape::List => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            items
                .first()
                .is_some_and(|item| Shape::of(item) == Shape::Object && has_fields(item.get()))
        }
        Shape::Text => {
            text(value).is_some_and(|text| text.trim_start().starts_with('{') && has_fields(&text))
        }
        Shape::Null | Shape::Other => false,
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The last part of a route's path, or of a name that other workers give it.
fn named_route(named: &str) -> Option<&'static str> {
    let last = named.trim().trim_matches('/').rsplit('/').next()?;
    let letters: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    let known = ROUTE_NAMES
        .iter()
        .find(|(name, _)| letters.eq_ignore_ascii_case(name));
    known.map(|(_, route)| *route).or_else(|| routes::known(last))
}

fn route_name(kind: JobKind) -> Option<&'static str> {
    match kind {
        JobKind::Txt2Img => Some("txt2img"),
        JobKind::Img2Img => Some("img2img"),
        JobKind::Extras | JobKind::Nothing => None,
    }
}

/// A key as a message shows it.
fn shortened(key: &str) -> String {
    const MOST: usize = 60;
    match key.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}
