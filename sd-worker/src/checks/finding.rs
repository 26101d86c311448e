//! Findings: things that a job asks for and does not get.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::code::{Code, Explain};

/// One thing that a job does not get.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// The field of the request that asks for it.
    field: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    asked: Value,
    /// The value that it gets instead.
    #[serde(skip_serializing_if = "Value::is_null")]
    got: Value,
    /// The name or field that may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    meant: Option<String>,
    message: String,
}

impl Finding {
    /// A name that the WebUI does not have.
    pub(super) fn unknown(field: String, kind: &str, asked: &str, nearest: Option<String>) -> Self {
        let message = match &nearest {
            Some(nearest) => format!("no {kind} is called \"{asked}\"; did you mean \"{nearest}\"?"),
            None => format!("no {kind} is called \"{asked}\""),
        };
        Self {
            field,
            asked: Value::from(asked),
            got: Value::Null,
            meant: nearest,
            message,
        }
    }

    /// A field that the WebUI silently drops.
    pub(super) fn dropped(field: &str, meant: Option<String>) -> Self {
        let message = match &meant {
            Some(meant) => format!("the WebUI does not know this field and drops it; did you mean {meant}?"),
            None => "the WebUI does not know this field and drops it".to_owned(),
        };
        Self {
            field: field.to_owned(),
            asked: Value::Null,
            got: Value::Null,
            meant,
            message,
        }
    }

    /// An embedding in a form that the WebUI reads as words.
    pub(super) fn foreign_embedding(field: &str, name: &str, nearest: Option<String>) -> Self {
        let message = match &nearest {
            Some(nearest) => format!("the WebUI knows no \"embedding:\"; write \"{nearest}\" alone"),
            None => {
                format!("the WebUI knows no \"embedding:\", and has no embedding called \"{name}\"")
            }
        };
        Self {
            field: field.to_owned(),
            asked: Value::from(format!("embedding:{name}")),
            got: Value::Null,
            meant: nearest,
            message,
        }
    }

    /// An embedding that exists and is not loaded.
    pub(super) fn skipped_embedding(field: &str, name: &str) -> Self {
        Self {
            field: field.to_owned(),
            asked: Value::from(name),
            got: Value::Null,
            meant: None,
            message: format!("the embedding \"{name}\" is not loaded: it was made for another kind of model"),
        }
    }

    /// Another number of arguments than a script takes.
    pub(super) fn arguments(field: String, given: usize, takes: usize) -> Self {
        let message = if given > takes {
            format!("{given} arguments are given, and the script drops all after the first {takes}")
        } else {
            format!("{given} arguments are given, and the script takes {takes}")
        };
        Self {
            field,
            asked: Value::from(given),
            got: Value::from(takes),
            meant: None,
            message,
        }
    }

    /// Arguments of a script in a form that the WebUI passes over, or fails on.
    pub(super) fn misshapen(field: String, message: &str) -> Self {
        Self {
            field,
            asked: Value::Null,
            got: Value::Null,
            meant: None,
            message: message.to_owned(),
        }
    }

    /// A URL that stands where the worker expects no picture, so that it is not fetched.
    pub(super) fn not_fetched(field: String) -> Self {
        Self::misshapen(
            field,
            "a URL among a script's bare arguments is not fetched but passed on as text; send the picture as base64",
        )
    }

    /// A tag that is a word like any other in a negative prompt.
    pub(super) fn negative_tag(field: &str, tag: &str) -> Self {
        Self {
            field: field.to_owned(),
            asked: Value::from(tag),
            got: Value::Null,
            meant: None,
            message: format!("{tag} has no effect in a negative prompt; write it in the prompt"),
        }
    }

    /// A side that the WebUI cuts.
    pub(super) fn cut(field: &str, asked: impl Into<Value>, got: impl Into<Value>) -> Self {
        let (asked, got) = (asked.into(), got.into());
        Self {
            field: field.to_owned(),
            message: format!("the WebUI cuts sides to a multiple of 8: {asked} gives {got}"),
            asked,
            got,
            meant: None,
        }
    }

    /// Lists that could not be had, so that names in them were not looked up.
    pub(super) fn unchecked(lists: &BTreeSet<&'static str>) -> Self {
        let lists: Vec<&str> = lists.iter().copied().collect();
        Self {
            field: "checks".to_owned(),
            asked: Value::Null,
            got: Value::Null,
            meant: None,
            message: format!("not checked: {}", lists.join(", ")),
        }
    }

    /// A value that the answer reports differently.
    pub(super) fn other(field: &str, asked: impl Into<Value>, got: impl Into<Value>) -> Self {
        let (asked, got) = (asked.into(), got.into());
        let message = if got.is_null() {
            format!("asked for {asked}, which was not applied")
        } else {
            format!("asked for {asked}, got {got}")
        };
        Self {
            field: field.to_owned(),
            asked,
            got,
            meant: None,
            message,
        }
    }

    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// Whether the answer reports nothing of it.
    pub(super) fn is_of_nothing(&self) -> bool {
        self.got.is_null()
    }

    /// Whether `other` is about the same field.
    pub(super) fn explains(&self, other: &Self) -> bool {
        self.field == other.field
    }

    fn described(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// The list of findings as answers and errors show it.
pub(super) fn json(findings: &[Finding]) -> Value {
    serde_json::to_value(findings).unwrap_or_default()
}

/// The findings that fail a job with strict checks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotApplied {
    #[error("not rendered, because the result would not be what is asked for: {}", described(.0))]
    Before(Vec<Finding>),
    #[error("the WebUI rendered something else than was asked for: {}", described(.0))]
    After(Vec<Finding>),
}

fn described(findings: &[Finding]) -> String {
    let all: Vec<String> = findings.iter().map(Finding::described).collect();
    all.join("; ")
}

impl Explain for NotApplied {
    fn code(&self) -> Code {
        match self {
            Self::Before(_) => Code::NotThere,
            Self::After(_) => Code::NotApplied,
        }
    }

    fn details(&self) -> Option<Value> {
        let (Self::Before(findings) | Self::After(findings)) = self;
        Some(json!({ "findings": json(findings) }))
    }
}
