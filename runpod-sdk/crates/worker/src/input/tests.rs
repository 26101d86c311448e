//! Invalid inputs and the problems that are reported for them.
#![expect(dead_code, reason = "the fields are decoded, not used")]

use std::collections::BTreeMap;

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Checked, Validated};
use crate::handler::JobInput;
use crate::job::{ErrorCode, JobError};
use crate::json::RawJson;

#[derive(Debug, Deserialize, JsonSchema)]
struct Request {
    #[schemars(length(min = 1, max = 20))]
    prompt: String,
    #[serde(default, alias = "negative")]
    negative_prompt: String,
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 150))]
    steps: u8,
    #[serde(default)]
    cfg_scale: f64,
    seed: Option<i64>,
    #[serde(default)]
    #[schemars(length(max = 3))]
    sizes: Vec<Size>,
    #[serde(default)]
    style: Style,
    #[serde(default)]
    shape: Option<Shape>,
    #[serde(default)]
    source: Option<Source>,
    #[serde(default)]
    tree: Option<Box<Tree>>,
    #[serde(default)]
    hd: bool,
}

fn twenty() -> u8 {
    20
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Size {
    width: u32,
    height: u32,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Style {
    #[default]
    Oil,
    Pencil,
    /// This comment makes the variant an alternative of its own in the schema.
    Watercolour,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shape {
    Circle { radius: f64 },
    Rectangle { width: f64, height: f64 },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Source {
    Url(String),
    Bucket { name: String, key: String },
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Tree {
    #[serde(default)]
    left: Option<Box<Self>>,
}

fn read<T: JobInput>(text: &str) -> Result<T, JobError> {
    T::read(RawJson::parse(text.to_owned()).unwrap())
}

/// One line for each problem.
fn problems<T: JobInput>(text: &str) -> Vec<String> {
    let Err(error) = read::<T>(text) else {
        return Vec::new();
    };
    assert_eq!(error.code(), &ErrorCode::INVALID_INPUT);
    let details = error.details().unwrap();
    let errors = details["errors"].as_array().unwrap();
    assert_eq!(
        details["path"], errors[0]["path"],
        "the first path is where it always was"
    );
    let line = |error: &Value| {
        let hint = error["hint"]
            .as_str()
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!(
            "{}: {}{hint}",
            error["path"].as_str().unwrap(),
            error["problem"].as_str().unwrap()
        )
    };
    errors.iter().map(line).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it reads better with json! in the call"
)]
fn checked(input: Value) -> String {
    problems::<Checked<Request>>(&input.to_string()).join("\n")
}

#[test]
fn a_good_input_passes() {
    assert_eq!(checked(json!({ "prompt": "a cat" })), "");
    let full = json!({
        "prompt": "a cat", "steps": 30, "cfg_scale": 7, "seed": null, "sizes": [{ "width": 8, "height": 8 }],
        "style": "watercolour", "shape": { "kind": "circle", "radius": 1 },
        "source": { "bucket": { "name": "a", "key": "b" } }, "tree": { "left": { "left": null } }, "hd": true,
    });
    assert_eq!(checked(full), "");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let input = json!({
        "promt": "a cat", "steps": "many", "cfg_scale": [], "seed": 1.5, "hd": 1, "style": "pencl",
        "sizes": [{ "width": 8, "height": 8 }, { "width": "wide", "heigth": 8 }, 7],
        "shape": { "kind": "circel" }, "source": { "url": 7 },
    });
    insta::assert_snapshot!(checked(input));
}

#[test]
fn an_unknown_field_is_refused_with_the_name_that_was_meant() {
    assert_eq!(
        checked(json!({ "prompt": "a cat", "setps": 30 })),
        "setps: unknown field (did you mean \"steps\"? one of: prompt, negative_prompt, steps, cfg_scale, \
         seed, sizes, style, shape, source, tree, hd)"
    );
    assert_eq!(
        checked(json!({ "prompt": "a cat", "sizes": [{ "width": 8, "height": 8, "depth": 8 }] })),
        "sizes[0].depth: unknown field (one of: width, height)"
    );
}

#[test]
fn an_alias_is_no_unknown_field() {
    assert_eq!(checked(json!({ "prompt": "a cat", "negative": "dogs" })), "");
}

#[test]
fn a_struct_may_say_that_it_takes_other_fields() {
    #[derive(Deserialize, JsonSchema)]
    #[schemars(extend("additionalProperties" = true))]
    struct Open {
        n: u8,
    }
    #[derive(Deserialize, JsonSchema)]
    struct Rest {
        n: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }
    assert!(problems::<Checked<Open>>(r#"{"n": 1, "m": 2}"#).is_empty());
    assert!(problems::<Checked<Rest>>(r#"{"n": 1, "m": 2}"#).is_empty());
    assert_eq!(
        problems::<Checked<Rest>>(r#"{"n": "1", "m": 2}"#),
        [r#"n: expected integer, found string "1""#]
    );
}

#[test]
fn alternatives_are_told_apart_by_their_tag() {
    let shape = |shape: Value| checked(json!({ "prompt": "a", "shape": shape }));
    assert_eq!(
        shape(json!({ "kind": "circle", "radius": "big" })),
        r#"shape.radius: expected number, found string "big""#
    );
    assert_eq!(
        shape(json!({ "kind": "circel" })),
        "shape.kind: unknown value \"circel\" (did you mean \"circle\"? one of: circle, rectangle)"
    );
    assert_eq!(
        shape(json!({})),
        "shape.kind: required, and missing (one of: circle, rectangle)"
    );
    assert_eq!(shape(json!(7)), "shape: expected object or null, found number 7");
    let source = |source: Value| checked(json!({ "prompt": "a", "source": source }));
    assert_eq!(
        source(json!({ "bucket": { "name": 7, "key": "b" } })),
        "source.bucket.name: expected string, found number 7"
    );
    insta::assert_snapshot!(
        [json!({ "file": "a" }), json!("url"), json!([])]
            .map(source)
            .join("\n")
    );
}

#[test]
fn the_whole_input_may_be_the_problem() {
    insta::assert_snapshot!(
        [json!("a cat"), json!(null), json!([]), json!(7)]
            .map(checked)
            .join("\n")
    );
}

#[test]
fn a_picture_or_secret_in_the_wrong_place_is_not_echoed() {
    let picture = "iVBORw0KGgo".repeat(100_000);
    for field in ["steps", "style", "shape", "sizes", "tree", "unknown"] {
        let mut input = json!({ "prompt": "a" });
        input[field] = picture.clone().into();
        assert!(checked(input).len() < 300, "{field}");
    }
    let mut input = json!({ "prompt": "a" });
    input[&picture] = 1.into();
    assert!(checked(input).len() < 300);
}

#[test]
fn hostile_inputs_end_soon() {
    let deep = format!(
        r#"{{"prompt": "a", "tree": {}{}}}"#,
        r#"{"left":"#.repeat(10_000),
        "null".to_owned() + &"}".repeat(10_000)
    );
    assert!(!problems::<Checked<Request>>(&deep).is_empty());
    let many = json!({ "prompt": "a", "sizes": vec![7; 100_000] });
    assert_eq!(problems::<Checked<Request>>(&many.to_string()).len(), 20);
    let lone = r#"{"prompt": "\ud800", "\ud800": 1}"#;
    assert!(!problems::<Checked<Request>>(lone).is_empty());
}

#[test]
fn the_schema_is_that_of_the_type_and_closed() {
    insta::assert_json_snapshot!(<Checked<Size> as JobInput>::schema());
}

/// What Python's validator got wrong (`docs/protocol/worker-protocol.md` §15).
mod quirks_of_pythons_validator {
    use super::*;

    #[test]
    fn a_limit_holds_for_a_field_that_has_a_default() {
        assert_eq!(
            checked(json!({ "prompt": "a", "steps": 0 })),
            "steps: must be at least 1, found number 0"
        );
        assert_eq!(
            checked(json!({ "prompt": "a", "steps": 151 })),
            "steps: must be at most 150, found number 151"
        );
    }

    #[test]
    fn a_boolean_is_no_integer() {
        assert!(
            checked(json!({ "prompt": "a", "steps": true }))
                .starts_with("steps: expected integer, found boolean")
        );
        assert!(
            checked(json!({ "prompt": "a", "seed": false })).starts_with("seed: expected integer or null")
        );
    }

    #[test]
    fn a_field_with_a_default_is_not_required() {
        assert_eq!(checked(json!({ "prompt": "a" })), "");
        assert_eq!(checked(json!({})), "prompt: required, and missing");
    }

    #[test]
    fn an_integer_is_a_number() {
        assert_eq!(checked(json!({ "prompt": "a", "cfg_scale": 7 })), "");
    }

    #[test]
    fn a_rule_never_sees_a_value_of_another_type() {
        #[derive(Deserialize, JsonSchema, Validate)]
        struct Ruled {
            #[garde(custom(never))]
            n: u8,
        }
        #[expect(clippy::trivially_copy_pass_by_ref, reason = "garde's form")]
        fn never(_: &u8, _: &()) -> garde::Result {
            unreachable!("a rule ran on a value of another type")
        }
        assert_eq!(
            problems::<Validated<Ruled>>(r#"{"n": "7"}"#),
            [r#"n: expected integer, found string "7""#]
        );
    }

    #[test]
    fn inner_values_are_checked_too() {
        let input = json!({ "prompt": "a", "sizes": [{ "width": true, "height": -1 }] });
        assert_eq!(
            checked(input),
            "sizes[0].width: expected integer, found boolean true\nsizes[0].height: must be at least 0, found number -1"
        );
    }

    #[test]
    fn the_same_input_gets_the_same_answer_again() {
        let input = json!({ "promt": 1 });
        assert_eq!(checked(input.clone()), checked(input));
    }

    #[test]
    fn json_in_a_text_is_a_text() {
        assert_eq!(checked(json!({ "prompt": "{\"a\": 1}" })), "");
    }
}

mod rules {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, Validate)]
    struct Canvas {
        #[garde(dive)]
        sizes: Vec<Side>,
        #[garde(length(min = 1))]
        title: String,
        #[garde(skip)]
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, JsonSchema, Validate)]
    struct Side {
        #[garde(custom(multiple_of_8))]
        width: u32,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "garde's form")]
    fn multiple_of_8(side: &u32, _: &()) -> garde::Result {
        if side.is_multiple_of(8) {
            Ok(())
        } else {
            Err(garde::Error::new("must be a multiple of 8"))
        }
    }

    #[test]
    fn all_broken_rules_are_told_beside_other_problems() {
        let input = r#"{"sizes": [{"width": 8}, {"width": 9}, {"width": 10}], "title": "", "tilte": 1}"#;
        insta::assert_snapshot!(problems::<Validated<Canvas>>(input).join("\n"));
        assert!(problems::<Validated<Canvas>>(r#"{"sizes": [], "title": "a"}"#).is_empty());
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Sum {
    Not {
        of: Box<Self>,
    },
    Neg {
        of: Box<Self>,
    },
    Value {
        #[schemars(range(max = 9))]
        n: u8,
    },
}

/// A value inside `depth` others.
fn nested(depth: usize, value: &str) -> RawJson {
    let text = format!(
        "{}{value}{}",
        r#"{"op":"neg","of":"#.repeat(depth),
        "}".repeat(depth)
    );
    RawJson::parse(text).unwrap()
}

/// Without the look at the tag, each level would double the work: 2^100 checks.
#[test]
fn alternatives_within_alternatives_are_looked_through_once_to_the_last_level() {
    let read = |value| Checked::<Sum>::read(nested(100, value));
    read(r#"{"op":"value","n":1}"#).unwrap();
    for (value, problem) in [
        (r#"{"op":"value"}"#, "n: required, and missing"),
        (
            r#"{"op":"value","n":10}"#,
            "n: must be at most 9, found number 10",
        ),
    ] {
        let place = "of.".repeat(100);
        assert_eq!(
            read(value).unwrap_err().message(),
            format!("invalid input: {place}{problem}")
        );
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Named {
    size: u32,
    #[serde(deserialize_with = "even")]
    size_limit: u32,
}

fn even<'de, D: serde::Deserializer<'de>>(source: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(source)?;
    if number.is_multiple_of(2) {
        Ok(number)
    } else {
        Err(serde::de::Error::custom("must be even"))
    }
}

#[test]
fn a_problem_that_only_serde_knows_is_told_beside_one_of_a_similar_name() {
    let input = RawJson::parse(r#"{"size_limit": 3, "size": "large"}"#.to_owned()).unwrap();
    let error = Checked::<Named>::read(input).unwrap_err();
    assert_eq!(
        error.message(),
        "invalid input: size_limit: must be even; size: expected integer, found string \"large\""
    );
}
