//! Cases: from the table that comes with the crate, or from recordings.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How much of an answer's body must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Compare {
    /// Everything, and the order of keys.
    #[default]
    Exact,
    /// The fields that the case names; others may be there.
    Subset,
    /// Keys and types only: what the fields hold depends on the installation.
    Shape,
    /// Nothing: status and headers are enough.
    Nothing,
}

/// A request and the answer that the real server gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Case {
    /// A short name, unique in its suite.
    pub name: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) request: Option<Vec<u8>>,
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timed: Option<bool>,
    pub(super) body: Value,
    pub(super) compare: Compare,
    /// Calls that the recording was made between, where they were not recorded: path and body.
    pub(super) before: Option<(&'static str, Value)>,
    pub(super) after: Option<(&'static str, Value)>,
}

impl Case {
    /// Method and path, for people.
    pub fn request_line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The bytes to send. `picture` stands in for one that the recording has left out.
    pub(super) fn request_with(&self, picture: Option<&str>) -> Option<Vec<u8>> {
        let mut body = self.request_body();
        match picture.filter(|_| is_left_out(&body["image"])) {
            Some(picture) => {
                body["image"] = json!(picture);
                Some(crate::json::compact(&body))
            }
            None => self.request.clone(),
        }
    }

    /// Whether the recording has left out the picture that is sent.
    pub(super) fn lacks_a_picture(&self) -> bool {
        is_left_out(&self.request_body()["image"])
    }

    /// Whether the case leaves the server with another checkpoint, or with none.
    pub(super) fn changes_the_checkpoint(&self) -> bool {
        self.path == "/sdapi/v1/options" && !self.request_body()["sd_model_checkpoint"].is_null()
    }

    pub(super) fn request_body(&self) -> Value {
        self.request
            .as_deref()
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }
}

/// Why a suite cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The path.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is not a case.
    #[error("{path} is not a recorded case: {source}")]
    Malformed {
        /// The path.
        path: String,
        /// Where the JSON is wrong.
        source: serde_json::Error,
    },
}

/// A list of cases, in the order they are run.
#[derive(Debug, Clone)]
pub struct Suite {
    pub(super) cases: Vec<Case>,
}

/// One entry of the table, and the format of recordings.
#[derive(Deserialize)]
struct Entry {
    case: String,
    request: Request,
    response: Response,
    #[serde(default)]
    compare: Compare,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    #[serde(default)]
    headers: Map<String, Value>,
    json: Option<Value>,
    raw: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    json: Option<Value>,
    text: Option<String>,
}

impl Suite {
    /// The table that comes with the crate: requests that leave a server as they find it, for 1.10.x.
    ///
    /// # Panics
    ///
    /// Never: a test reads the table.
    pub fn builtin() -> Self {
        let table = include_str!("../../data/contract.json");
        let entries: Vec<Entry> = serde_json::from_str(table).expect("the table is part of the crate");
        Self {
            cases: entries.into_iter().map(|entry| entry.into_case(None)).collect(),
        }
    }

    /// The recordings of a folder, in the order they were made: settings leak from one into the next.
    ///
    /// Left out are files that are no single request, and those that a script of the recorder's own made
    /// fail. A server that is to answer alike must be set up like the recorded one.
    ///
    /// # Errors
    ///
    /// When the folder or one of its files cannot be read.
    pub fn recorded(folder: impl AsRef<Path>) -> Result<Self, SuiteError> {
        let folder = folder.as_ref();
        let unreadable = |path: &Path| {
            let path = path.display().to_string();
            move |source| SuiteError::Unreadable { path, source }
        };
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = file.map_err(unreadable(folder))?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            let malformed = |source| SuiteError::Malformed {
                path: path.display().to_string(),
                source,
            };
            let value: Value = serde_json::from_str(&text).map_err(malformed)?;
            if value.get("request").is_none() || is_the_recorders_own(&value) {
                continue;
            }
            let date = value["response"]["headers"]["date"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let entry: Entry = serde_json::from_value(value).map_err(malformed)?;
            found.push((date, entry.into_case(Some(folder))));
        }
        found.sort_by_key(|(date, case)| (date.clone(), turn(&case.name)));
        let mut cases: Vec<Case> = found.into_iter().map(|(_, case)| case).collect();
        add_unrecorded_calls(&mut cases);
        Ok(Self { cases })
    }

    /// The cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Keeps the cases that the closure wants.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Case) -> bool) -> Self {
        self.cases.retain(|case| wanted(case));
        self
    }
}

/// A folder may be a sample. What later cases show the effect of is called all the same.
fn add_unrecorded_calls(cases: &mut [Case]) {
    let has = |name: &str| cases.iter().any(|case| case.name == name);
    let (interrupted, repaired) = (has("interrupt-idle"), has("override-ok-repair"));
    for case in cases {
        match case.name.as_str() {
            "progress-after-idle-interrupt" if !interrupted => {
                case.before = Some(("/sdapi/v1/interrupt", Value::Null));
            }
            "override-ok-then-plain" if !repaired => {
                case.after = Some(("/sdapi/v1/options", json!({ "CLIP_stop_at_last_layers": 1 })));
            }
            _ => {}
        }
    }
}

fn is_the_recorders_own(value: &Value) -> bool {
    value["request"]["json"]["script_name"] == "golden fault"
}

/// Dates have whole seconds. Those made within one were made in the order of their names, but for a few
/// that look at what others left behind.
fn turn(name: &str) -> (usize, String) {
    const LAST: [&str; 5] = [
        "override-ok",
        "extras-unknown",
        "interrupt-idle",
        "progress-after-idle",
        "txt2img-after-idle",
    ];
    let place = LAST
        .iter()
        .position(|start| name.starts_with(start))
        .map_or(0, |place| place + 1);
    (place, name.replace("ok-repair", "ok-zz"))
}

impl Entry {
    fn into_case(self, folder: Option<&Path>) -> Case {
        let header = |map: &Map<String, Value>, name: &str| map.get(name)?.as_str().map(str::to_owned);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Self {
            case: name,
            mut request,
            response,
            compare,
        } = self;
        if let (Some(body), Some(folder)) = (&mut request.json, folder) {
            restore_picture(body, folder);
        }
        let request_bytes = request.json.map(|body| crate::json::compact(&body));
        let recorded = !response.headers.is_empty();
        let compared = [
            "allow",
            "access-control-allow-credentials",
            "content-encoding",
            "location",
        ];
        let headers = compared
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), header(&response.headers, name)?)))
            .collect();
        Case {
            name,
            method: request.method,
            path: request.path,
            request_headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            request: request_bytes.or_else(|| request.raw.map(|raw| undecoded(&raw))),
            status: response.status,
            content_type: header(&response.headers, "content-type"),
            timed: recorded.then(|| response.headers.contains_key("x-process-time")),
            headers,
            body: response
                .json
                .or_else(|| response.text.filter(|text| !text.is_empty()).map(Value::from))
                .unwrap_or_default(),
            compare,
            before: None,
            after: None,
        }
    }
}

/// A recording stands in for a long picture with a placeholder; the file itself lies beside it.
fn restore_picture(body: &mut Value, folder: &Path) {
    if let Some(file) = is_left_out(&body["image"])
        .then(|| std::fs::read(folder.join("txt2img-minimal.png")).ok())
        .flatten()
    {
        body["image"] = json!(STANDARD.encode(file));
    }
}

fn is_left_out(picture: &Value) -> bool {
    picture.as_str().is_some_and(|text| text.starts_with("<base64"))
}

/// The bytes of a text. One that is not UTF-8 was recorded with this character in its place.
fn undecoded(text: &str) -> Vec<u8> {
    let parts: Vec<&[u8]> = text.split('\u{fffd}').map(str::as_bytes).collect();
    parts.join(&0xff)
}
