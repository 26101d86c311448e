//! `oneOf` and `anyOf`: enums, options, unions.

use serde_json::Value;

use super::{Check, choices, decoded, list, plain, report_choice, shown, types};
use crate::input::finding::{Finding, FindingKind, Findings, Path};
use crate::json::{entries, hint, kind};

/// The most levels of alternatives inside alternatives that are flattened.
const MOST_LEVELS: usize = 4;

impl<'s> Check<'s> {
    /// Checks that at least one alternative fits. If none does, reports the problems of the one that was probably
    /// meant.
    pub(super) fn one_of(self, choices: &[&'s Value], text: &str, path: &Path<'_>, found: &mut Findings) {
        let here = path.depth();
        // Alternatives with another tag are skipped before their contents are checked. Without this, nested
        // alternatives would take exponential time.
        let meant = choices.iter().filter(|choice| !has_another_tag(choice, text));
        let mut closest: Option<Vec<Finding>> = None;
        for choice in meant {
            let mut own = Findings::default();
            self.value(choice, text, path, &mut own);
            if own.0.is_empty() {
                return;
            }
            let ruled_out = own.0.iter().any(|finding| {
                (finding.kind == FindingKind::Shape && finding.depth == here)
                    || (finding.tag && finding.depth == here + 1)
            });
            let closer = closest.as_ref().is_none_or(|other| own.0.len() < other.len());
            if !ruled_out && closer {
                closest = Some(own.0);
            }
        }
        match closest {
            Some(findings) => {
                for finding in findings {
                    found.push(finding);
                }
            }
            None => Self::none_of(choices, text, path, found),
        }
    }

    /// Reports a value that resembles none of the alternatives.
    fn none_of(choices: &[&'s Value], text: &str, path: &Path<'_>, found: &mut Findings) {
        let schemas: Vec<_> = choices.iter().filter_map(|choice| choice.as_object()).collect();
        if kind(text.as_bytes()) == "object"
            && let Some((tag, values)) = tags(&schemas)
        {
            let inner = Path::Key(path, tag);
            let mut given = None;
            let _ = entries(text.as_bytes(), |key, value| {
                if key == tag {
                    given = Some(value.to_owned());
                }
            });
            match given {
                Some(value) => report_choice(&values, &value, &inner, found),
                None => {
                    let names: Vec<String> = values.iter().map(|value| plain(value)).collect();
                    if let Some(finding) =
                        found.add(FindingKind::Missing, &inner, "required, and missing".to_owned())
                    {
                        finding.problem.hint = hint(None, &names).map(Into::into);
                    }
                }
            }
            return;
        }
        let values: Vec<&Value> = schemas.iter().flat_map(|schema| self::choices(schema)).collect();
        if kind(text.as_bytes()) == "string" && !values.is_empty() {
            return report_choice(&values, text, path, found);
        }
        let mut expected: Vec<&str> = Vec::new();
        for name in schemas.iter().flat_map(|schema| types(schema)) {
            if !expected.contains(&name) {
                expected.push(name);
            }
        }
        let names: Vec<String> = schemas
            .iter()
            .filter_map(|schema| list(schema, "required").next()?.as_str().map(str::to_owned))
            .collect();
        let problem = if expected.contains(&kind(text.as_bytes())) {
            "none of the forms that are allowed here".to_owned()
        } else {
            format!("expected {}, found {}", expected.join(" or "), shown(text))
        };
        if let Some(finding) = found.add(FindingKind::Shape, path, problem)
            && kind(text.as_bytes()) == "object"
        {
            finding.problem.hint = hint(None, &names).map(Into::into);
        }
    }

    /// The alternatives, with each one that only lists further alternatives replaced by those.
    pub(super) fn alternatives(
        self,
        choices: impl Iterator<Item = &'s Value>,
        level: usize,
    ) -> Vec<&'s Value> {
        let mut all = Vec::new();
        for choice in choices {
            let target = choice
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|name| self.resolve(name))
                .unwrap_or(choice);
            let inner = ["oneOf", "anyOf"]
                .into_iter()
                .find_map(|word| target.get(word)?.as_array());
            match inner {
                Some(inner) if level < MOST_LEVELS && target.get("properties").is_none() => {
                    all.extend(self.alternatives(inner.iter(), level + 1));
                }
                _ => all.push(target),
            }
        }
        all
    }
}

/// Whether a tag in the value rules this alternative out.
fn has_another_tag(choice: &Value, text: &str) -> bool {
    let properties = choice.get("properties").and_then(Value::as_object);
    let fixed = |key: &str| properties?.get(key)?.get("const");
    if kind(text.as_bytes()) != "object"
        || !properties.is_some_and(|properties| properties.keys().any(|key| fixed(key).is_some()))
    {
        return false;
    }
    let mut another = false;
    let _ = entries(text.as_bytes(), |key, value| {
        if let Some(wanted) = fixed(key) {
            another |= decoded(value).as_ref() != Some(wanted);
        }
    });
    another
}

/// The tag that tells the alternatives apart, with its value in each.
fn tags<'s>(schemas: &[&'s serde_json::Map<String, Value>]) -> Option<(&'s str, Vec<&'s Value>)> {
    let fixed = |schema: &&'s serde_json::Map<String, Value>| {
        schema
            .get("properties")?
            .as_object()?
            .iter()
            .find_map(|(name, property)| Some((name.as_str(), property.get("const")?)))
    };
    let found: Vec<_> = schemas.iter().filter_map(fixed).collect();
    let (tag, _) = *found.first()?;
    Some((
        tag,
        found
            .iter()
            .filter(|(name, _)| *name == tag)
            .map(|(_, value)| *value)
            .collect(),
    ))
}
