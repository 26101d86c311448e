//! Limits: ranges of numbers, lengths of strings and arrays.

use serde_json::Value;

use super::shown;
use crate::input::finding::{FindingKind, Findings, Path};

/// Whether a number (first) violates a limit (second).
type Breaks = fn(f64, f64) -> bool;

pub(super) fn number(
    schema: &serde_json::Map<String, Value>,
    text: &str,
    path: &Path<'_>,
    found: &mut Findings,
) {
    let Ok(given) = text.parse::<f64>() else { return };
    let rules: [(&str, Breaks, &str); 4] = [
        ("minimum", |given, limit| given < limit, "at least"),
        ("maximum", |given, limit| given > limit, "at most"),
        ("exclusiveMinimum", |given, limit| given <= limit, "more than"),
        ("exclusiveMaximum", |given, limit| given >= limit, "less than"),
    ];
    for (word, breaks, says) in rules {
        let Some(limit) = schema.get(word) else { continue };
        if limit.as_f64().is_some_and(|limit| breaks(given, limit)) {
            found.add(
                FindingKind::Limit,
                path,
                format!("must be {says} {}, found {}", whole(limit), shown(text)),
            );
        }
    }
    let range = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => Some((0.0, f64::from(u32::MAX))),
        Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        _ => None,
    };
    if let Some((least, most)) = range
        && !(least..=most).contains(&given)
        && !schema
            .get("minimum")
            .and_then(Value::as_f64)
            .is_some_and(|limit| given < limit)
    {
        found.add(
            FindingKind::Limit,
            path,
            format!("must be from {least} to {most}, found {}", shown(text)),
        );
    }
}

/// A limit without a useless fraction: `1` where schemars writes `1.0`.
fn whole(limit: &Value) -> String {
    limit
        .as_f64()
        .map_or_else(|| limit.to_string(), |limit| limit.to_string())
}

pub(super) fn string(
    schema: &serde_json::Map<String, Value>,
    text: &str,
    path: &Path<'_>,
    found: &mut Findings,
) {
    if schema.contains_key("minLength") || schema.contains_key("maxLength") {
        let length = serde_json::from_str::<String>(text).map_or(0, |text| text.chars().count());
        limits(
            schema,
            ["minLength", "maxLength"],
            length,
            "characters",
            path,
            found,
        );
    }
}

pub(super) fn limits(
    schema: &serde_json::Map<String, Value>,
    [least, most]: [&str; 2],
    given: usize,
    what: &str,
    path: &Path<'_>,
    found: &mut Findings,
) {
    let limit = |word| schema.get(word).and_then(Value::as_u64);
    let given = given as u64;
    if let Some(least) = limit(least).filter(|least| given < *least) {
        found.add(
            FindingKind::Limit,
            path,
            format!("must have at least {least} {what}, has {given}"),
        );
    }
    if let Some(most) = limit(most).filter(|most| given > *most) {
        found.add(
            FindingKind::Limit,
            path,
            format!("must have at most {most} {what}, has {given}"),
        );
    }
}
