//! Checks an input against a JSON Schema, with the keywords of the 2020-12 dialect that schemars writes.
//!
//! The input stays text: each object and array is scanned once per level, and only short values are decoded.
//!
//! # Why not the crate `jsonschema`
//!
//! Measured with `jsonschema` 0.61.2 without default features, release build, x86-64, 2026-12:
//!
//! - Time. It tries every alternative of a `oneOf` and collects the errors of each. For an enum with a tag whose variants
//!   contain each other (`Sum` in the tests) an invalid input takes exponential time: 1.1 s at 16 levels, 5.7 s at 18,
//!   38 s at 20. serde accepts 127 levels, so one small request would stop a worker. This check reads the tag first.
//! - Size. 43 more packages for `runpod-worker` with the feature `schema` alone (126 today), 25 of them new in
//!   `Cargo.lock`; a stripped program with one check grows from 0.4 MB to 4.7 MB.
//! - Code. The choice of the alternative that was meant, the hints, the paths and the wording stay here in any case, and
//!   the input has to be decoded into a tree beside its text and its value.

mod alternatives;
mod limits;

use serde_json::Value;
use serde_json::value::RawValue;

use super::finding::{Finding, FindingKind, Findings, Path};
use crate::json::{RawJson, entries, excerpt, hint, kind};
use runpod_protocol::nearest;

/// The most steps through the schema. serde decodes 127 levels of nesting, and one level may take three steps: to an
/// alternative, from its `$ref` to its definition, and to a field.
const DEEPEST: usize = 3 * 128;
/// The most bytes of a value that is compared with the values of an `enum`.
const LONGEST_CHOICE: usize = 1000;

/// All problems of `input` under `schema`.
pub(super) fn check(schema: &Value, input: &RawJson) -> Vec<Finding> {
    let mut found = Findings::default();
    Check {
        root: schema,
        depth: 0,
    }
    .value(schema, input.as_str(), &Path::Root, &mut found);
    found.0
}

#[derive(Clone, Copy)]
struct Check<'s> {
    root: &'s Value,
    depth: usize,
}

impl<'s> Check<'s> {
    fn value(self, schema: &'s Value, text: &str, path: &Path<'_>, found: &mut Findings) {
        let Some(schema) = schema.as_object() else {
            if schema == &Value::Bool(false) {
                found.add(FindingKind::Shape, path, "not allowed here".to_owned());
            }
            return;
        };
        if found.is_full() {
            return;
        }
        if self.depth > DEEPEST {
            // A value that is not checked must not pass.
            found.add(FindingKind::Limit, path, "nested too deeply".to_owned());
            return;
        }
        let deeper = Self {
            depth: self.depth + 1,
            ..self
        };
        if let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| self.resolve(name))
        {
            deeper.value(target, text, path, found);
        }
        if !Self::fits_type(schema, text, path, found) || !Self::is_a_choice(schema, text, path, found) {
            return;
        }
        for part in list(schema, "allOf") {
            deeper.value(part, text, path, found);
        }
        for word in ["oneOf", "anyOf"] {
            let choices = deeper.alternatives(list(schema, word), 0);
            if !choices.is_empty() {
                deeper.one_of(&choices, text, path, found);
            }
        }
        match kind(text.as_bytes()) {
            "object" => deeper.object(schema, text, path, found),
            "array" => deeper.array(schema, text, path, found),
            "number" => limits::number(schema, text, path, found),
            "string" => limits::string(schema, text, path, found),
            _ => {}
        }
    }

    /// Resolves `#` or `#/$defs/Name`, the only forms that schemars writes.
    fn resolve(self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn fits_type(
        schema: &serde_json::Map<String, Value>,
        text: &str,
        path: &Path<'_>,
        found: &mut Findings,
    ) -> bool {
        let expected = types(schema);
        let is = kind(text.as_bytes());
        let whole = is == "number" && !text.contains(['.', 'e', 'E']);
        let fits = expected.is_empty()
            || expected
                .iter()
                .any(|name| *name == is || (*name == "integer" && whole));
        if !fits {
            found.add(
                FindingKind::Shape,
                path,
                format!("expected {}, found {}", expected.join(" or "), shown(text)),
            );
        }
        fits
    }

    /// Whether the value is one of those in `const` or `enum`, if there are any.
    fn is_a_choice(
        schema: &serde_json::Map<String, Value>,
        text: &str,
        path: &Path<'_>,
        found: &mut Findings,
    ) -> bool {
        let known = choices(schema);
        if known.is_empty() {
            return true;
        }
        let given = decoded(text);
        if given.as_ref().is_some_and(|given| known.contains(&given)) {
            return true;
        }
        report_choice(&known, text, path, found);
        false
    }

    fn object(
        self,
        schema: &'s serde_json::Map<String, Value>,
        text: &str,
        path: &Path<'_>,
        found: &mut Findings,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut given: Vec<String> = Vec::new();
        let mut unknown: Vec<String> = Vec::new();
        let read = entries(text.as_bytes(), |key, value| {
            if found.is_full() {
                return;
            }
            let inner = Path::Key(path, key);
            if let Some(known) = properties.and_then(|properties| properties.get(key)) {
                given.push(key.to_owned());
                self.value(known, value, &inner, found);
                return;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => unknown.push(key.to_owned()),
                Some(other) => self.value(other, value, &inner, found),
                None => {}
            }
        });
        if read.is_err() {
            return;
        }
        report_missing(schema, &given, path, found);
        report_unknown(schema, &given, &unknown, path, found);
        limits::limits(
            schema,
            ["minProperties", "maxProperties"],
            given.len(),
            "fields",
            path,
            found,
        );
    }

    fn array(
        self,
        schema: &'s serde_json::Map<String, Value>,
        text: &str,
        path: &Path<'_>,
        found: &mut Findings,
    ) {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else {
            return;
        };
        let first: Vec<&Value> = list(schema, "prefixItems").collect();
        for (at, item) in items.iter().enumerate() {
            let Some(expected) = first.get(at).copied().or_else(|| schema.get("items")) else {
                break;
            };
            if found.is_full() {
                return;
            }
            self.value(expected, item.get(), &Path::Index(path, at), found);
        }
        limits::limits(
            schema,
            ["minItems", "maxItems"],
            items.len(),
            "elements",
            path,
            found,
        );
    }
}

fn list<'s>(schema: &'s serde_json::Map<String, Value>, word: &str) -> impl Iterator<Item = &'s Value> {
    schema.get(word).and_then(Value::as_array).into_iter().flatten()
}

fn types(schema: &serde_json::Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn choices(schema: &serde_json::Map<String, Value>) -> Vec<&Value> {
    match schema.get("const") {
        Some(value) => vec![value],
        None => list(schema, "enum").collect(),
    }
}

/// Reports the required fields that are not among those given.
fn report_missing(
    schema: &serde_json::Map<String, Value>,
    given: &[String],
    path: &Path<'_>,
    found: &mut Findings,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let missing = list(schema, "required")
        .filter_map(Value::as_str)
        .filter(|field| !given.iter().any(|key| key == field));
    for field in missing {
        let fixed = properties
            .and_then(|properties| properties.get(field))
            .is_some_and(|property| property.get("const").is_some());
        // In `{"Circle": …}` the only field is the name of an alternative.
        let only = properties.is_some_and(|properties| properties.len() == 1);
        let place = Path::Key(path, field);
        if let Some(finding) = found.add(FindingKind::Missing, &place, "required, and missing".to_owned()) {
            finding.tag = fixed || only;
        }
    }
}

/// Reports unknown fields, each with the known field that was probably meant.
fn report_unknown(
    schema: &serde_json::Map<String, Value>,
    given: &[String],
    unknown: &[String],
    path: &Path<'_>,
    found: &mut Findings,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<String> = properties
        .into_iter()
        .flat_map(|properties| properties.keys())
        .cloned()
        .collect();
    for field in unknown {
        // A field that is already given is not what the unknown name meant.
        let missing = names.iter().filter(|name| !given.contains(name));
        let meant = nearest(field, missing.map(String::as_str));
        let place = Path::Key(path, field);
        if let Some(finding) = found.add(FindingKind::Unknown, &place, "unknown field".to_owned()) {
            finding.problem.hint = hint(meant, &names).map(Into::into);
        }
    }
}

fn report_choice(known: &[&Value], text: &str, path: &Path<'_>, found: &mut Findings) {
    let names: Vec<String> = known.iter().map(|value| plain(value)).collect();
    let given = decoded(text);
    let problem = format!(
        "unknown value {}",
        given
            .as_ref()
            .and_then(Value::as_str)
            .map_or_else(|| shown(text), excerpt)
    );
    let given = given.as_ref().and_then(Value::as_str).unwrap_or_default();
    let hint = hint(nearest(given, names.iter().map(String::as_str)), &names);
    if let Some(finding) = found.add(FindingKind::Shape, path, problem) {
        finding.tag = true;
        finding.problem.hint = hint.map(Into::into);
    }
}

/// Decodes a short value. `None` for one that is too long to be in an `enum`.
fn decoded(text: &str) -> Option<Value> {
    if text.len() > LONGEST_CHOICE {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// A value of the schema as text, without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value of the caller for a message: its type, and the start of a scalar.
fn shown(text: &str) -> String {
    match kind(text.as_bytes()) {
        "number" => format!("number {}", text.chars().take(40).collect::<String>()),
        "boolean" => format!("boolean {text}"),
        "string" => match text.char_indices().nth(40) {
            // The text is JSON already, so it is cut and not decoded.
            Some((end, _)) => format!("string {}…\"", &text[..end]),
            None => format!("string {text}"),
        },
        other => other.to_owned(),
    }
}
