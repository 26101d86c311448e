//! A table of fields, and a body checked against it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::coerce::{Kind, coerce};
use super::strict;
use crate::answer::problem;
use crate::profile::Profile;

/// One field of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default as JSON text; `None` makes the field required.
    pub(crate) default: Option<&'static str>,
    /// Whether `null` passes validation. True for nearly every field.
    pub(crate) nullable: bool,
    /// The first version that knows the field.
    pub(crate) since: Profile,
}

impl Field {
    /// An optional, nullable field that every version knows.
    pub(crate) const fn new(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self {
            name,
            kind,
            default: Some(default),
            nullable: true,
            since: Profile::V1_6,
        }
    }

    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            default: None,
            nullable: false,
            since: Profile::V1_6,
        }
    }

    pub(crate) const fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    pub(crate) const fn since(mut self, profile: Profile) -> Self {
        self.since = profile;
        self
    }
}

/// A checked body: every field of the table in its order, defaults filled in, unknown keys gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    values: Map<String, Value>,
    given: HashSet<&'static str>,
    defaults: HashMap<&'static str, &'static str>,
}

impl Fields {
    /// Checks `body` against `table`, or lists every problem in the order of the table.
    pub(crate) fn check(
        table: &[Field],
        profile: Profile,
        mut body: Map<String, Value>,
    ) -> Result<Self, Vec<Value>> {
        let mut problems = Vec::new();
        let mut fields = Self::default();
        for field in table.iter().filter(|field| field.since <= profile) {
            let location = [json!("body"), json!(field.name)];
            fields
                .defaults
                .extend(field.default.map(|default| (field.name, default)));
            let checked = match (body.remove(field.name), field.default) {
                (None, None) => {
                    problems.push(problem(&location, "field required", "value_error.missing"));
                    None
                }
                (None, Some(default)) => {
                    Some(serde_json::from_str(default).expect("defaults in the table are JSON"))
                }
                (Some(value), _) => {
                    fields.given.insert(field.name);
                    let refused = if profile.validates_strictly() {
                        strict::refused(field.kind, &value, &location)
                    } else {
                        Vec::new()
                    };
                    if !refused.is_empty() {
                        problems.extend(refused);
                        None
                    } else if !value.is_null() {
                        let before = problems.len();
                        let coerced = coerce(field.kind, value, &location, &mut problems);
                        if profile.validates_strictly() && matches!(field.kind, Kind::Within { .. }) {
                            problems[before..]
                                .iter_mut()
                                .for_each(strict::show_limit_as_float);
                        }
                        coerced
                    } else if field.nullable {
                        Some(Value::Null)
                    } else {
                        let text = "none is not an allowed value";
                        problems.push(problem(&location, text, "type_error.none.not_allowed"));
                        None
                    }
                }
            };
            if let Some(value) = checked {
                fields.values.insert(field.name.to_owned(), value);
            }
        }
        if problems.is_empty() {
            Ok(fields)
        } else {
            Err(problems)
        }
    }

    /// The fields as the answer echoes them.
    pub(crate) fn echo(&self) -> Map<String, Value> {
        self.values.clone()
    }

    /// Whether the client sent this field, `null` included.
    pub(crate) fn was_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Whether this version has the field.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// As if the client had not sent this field.
    pub(crate) fn forget(&mut self, name: &str) {
        if let Some(default) = self.defaults.get(name) {
            let default: Value = serde_json::from_str(default).expect("defaults in the table are JSON");
            self.set(name, default);
        }
    }

    pub(crate) fn get(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    /// `None` for `null`, for a field this version does not know, and beyond 64 bits.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).as_i64()
    }

    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        self.get(name).as_f64()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).as_bool().unwrap_or(false)
    }

    /// The text, `""` for null.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    /// The text, unless it is null or empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.get(name).as_array().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Field] = &[
        Field::new("steps", Kind::Integer, "50"),
        Field::new("prompt", Kind::Text, "\"\""),
        Field::required("image", Kind::Text),
        Field::new("scheduler", Kind::Text, "null").since(Profile::V1_9_3),
    ];

    fn check(body: &Value, profile: Profile) -> Result<Fields, Vec<Value>> {
        Fields::check(TABLE, profile, body.as_object().expect("an object").clone())
    }

    #[test]
    fn the_echo_has_the_tables_order_and_no_unknown_keys() {
        let fields = check(&json!({ "extra": 1, "image": "x", "steps": "3" }), Profile::V1_8).expect("valid");
        let echo = serde_json::to_string(&fields.echo()).expect("serialises");
        assert_eq!(echo, r#"{"steps":3,"prompt":"","image":"x"}"#);
    }

    #[test]
    fn every_bad_field_is_reported_in_the_tables_order() {
        let problems =
            check(&json!({ "prompt": [], "steps": "x" }), Profile::V1_10_1).expect_err("three problems");
        let names: Vec<_> = problems.iter().map(|problem| problem["loc"][1].clone()).collect();
        assert_eq!(names, ["steps", "prompt", "image"]);
    }

    #[test]
    fn null_passes_where_the_field_is_optional() {
        assert!(check(&json!({ "prompt": null, "image": "x" }), Profile::V1_6).is_ok());
        let problems = check(&json!({ "image": null }), Profile::V1_6).expect_err("image is required");
        assert_eq!(problems[0]["type"], "type_error.none.not_allowed");
    }
}
