//! One axis of the x/y/z plot: its kind and its values.

use serde_json::{Value, json};

use crate::answer::Failure;
use crate::catalogue::sampling::{self, Sampling};
use crate::request::{Fields, Mode};
use crate::server::Server;

/// The kinds that the mock varies. The script numbers them by their place in its menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Seed,
    Steps,
    CfgScale,
    PromptReplace,
    Sampler,
}

impl Kind {
    fn numbered(number: i64, mode: Mode) -> Self {
        // The menu of txt2img has one more entry, the steps of the second pass, before the CFG scale.
        match (number, mode) {
            (1, _) => Self::Seed,
            (4, _) => Self::Steps,
            (6, Mode::Txt2Img) | (5, Mode::Img2Img) => Self::CfgScale,
            (7, _) => Self::PromptReplace,
            (9, _) => Self::Sampler,
            _ => Self::Nothing,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Nothing => "Nothing",
            Self::Seed => "Seed",
            Self::Steps => "Steps",
            Self::CfgScale => "CFG Scale",
            Self::PromptReplace => "Prompt S/R",
            Self::Sampler => "Sampler",
        }
    }
}

/// An axis as the request gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    kind: Kind,
    pub(super) values: Vec<Value>,
    /// The values as the infotext shows them.
    shown: String,
}

impl Axis {
    /// Reads the three arguments of an axis: its type, its values as a text, and those chosen in a menu.
    pub(super) fn read(args: &[Value], as_text: bool, mode: Mode) -> Result<Self, Failure> {
        let at = |index: usize| args.get(index).unwrap_or(&Value::Null);
        let number = at(0).as_i64().ok_or_else(|| {
            Failure::unexpected("TypeError", "list indices must be integers or slices, not str")
        })?;
        let kind = Kind::numbered(number, mode);
        let text = at(1).as_str().unwrap_or_default();
        let given = match at(2) {
            Value::Array(chosen) if kind == Kind::Sampler && !as_text => chosen
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => listed(text),
        };
        let values = match kind {
            Kind::Nothing => vec![json!(0)],
            Kind::Seed | Kind::Steps => integers(&given)?,
            Kind::CfgScale => floats(&given)?,
            Kind::PromptReplace | Kind::Sampler => given.iter().map(|text| json!(text)).collect(),
        };
        let shown = if kind == Kind::Sampler && !as_text {
            given.join(", ")
        } else {
            text.to_owned()
        };
        Ok(Self { kind, values, shown })
    }

    /// Draws a number for each seed that is left to chance.
    pub(super) fn fix_seeds(&mut self, server: &Server) {
        if self.kind == Kind::Seed {
            for value in self.values.iter_mut().filter(|value| **value == -1) {
                *value = json!(server.random_seed());
            }
        }
    }

    /// Whether the axis has labels.
    pub(super) fn varies(&self) -> bool {
        self.kind != Kind::Nothing
    }

    /// Sets the value with this index in a request.
    pub(super) fn apply(
        &self,
        index: usize,
        server: &Server,
        fields: &mut Fields,
        sampling: &mut Sampling,
    ) -> Result<(), Failure> {
        let value = self.values.get(index).cloned().unwrap_or_default();
        let text = value.as_str().unwrap_or_default();
        match self.kind {
            Kind::Nothing => {}
            Kind::Seed => fields.set("seed", value),
            Kind::Steps => fields.set("steps", value),
            Kind::CfgScale => fields.set("cfg_scale", value),
            Kind::Sampler => {
                *sampling = sampling::resolve(server.profile(), text, fields.non_empty("scheduler"))
                    .ok_or_else(|| Failure::unexpected("RuntimeError", format!("Unknown sampler: {text}")))?;
            }
            Kind::PromptReplace => {
                let search = self.values[0].as_str().unwrap_or_default();
                let places = ["prompt", "negative_prompt"];
                if !places.iter().any(|place| fields.text(place).contains(search)) {
                    let words = format!("Prompt S/R did not find {search} in prompt or negative prompt.");
                    return Err(Failure::unexpected("RuntimeError", words));
                }
                for place in places {
                    let replaced = fields.text(place).replace(search, text);
                    fields.set(place, replaced);
                }
            }
        }
        Ok(())
    }

    /// What the axis adds to the infotext of a grid.
    pub(super) fn entries(&self, name: &str, fixed: bool) -> Vec<(String, Value)> {
        if !self.varies() {
            return Vec::new();
        }
        let mut entries = vec![
            (format!("{name} Type"), json!(self.kind.label())),
            (format!("{name} Values"), json!(self.shown)),
        ];
        if self.kind == Kind::Seed && fixed {
            let seeds: Vec<String> = self.values.iter().map(Value::to_string).collect();
            entries.push((format!("Fixed {name} Values"), json!(seeds.join(", "))));
        }
        entries
    }
}

/// The parts of a text between commas. Quotes keep the commas inside.
fn listed(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => parts.push(std::mem::take(&mut part).trim().to_owned()),
            other => part.push(other),
        }
    }
    if !text.trim().is_empty() {
        parts.push(part.trim().to_owned());
    }
    parts
}

fn integers(given: &[String]) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    for text in given {
        if let Some((from, to, step)) = range(text) {
            let count = usize::try_from((to - from) / step + 1).unwrap_or(0).min(1_000);
            values.extend((0_i64..).take(count).map(|index| json!(from + index * step)));
        } else {
            let words = format!("invalid literal for int() with base 10: '{text}'");
            let value: i64 = text
                .parse()
                .map_err(|_| Failure::unexpected("ValueError", words))?;
            values.push(json!(value));
        }
    }
    Ok(values)
}

fn floats(given: &[String]) -> Result<Vec<Value>, Failure> {
    given
        .iter()
        .map(|text| {
            let words = format!("could not convert string to float: '{text}'");
            let value: f64 = text
                .parse()
                .map_err(|_| Failure::unexpected("ValueError", words))?;
            Ok(json!(value))
        })
        .collect()
}

/// `1-5` and `1-9 (+2)`, counted upwards.
fn range(text: &str) -> Option<(i64, i64, i64)> {
    let (ends, step) = match text.split_once('(') {
        Some((ends, step)) => (ends, step.trim().strip_suffix(')')?.trim().parse().ok()?),
        None => (text, 1),
    };
    let (from, to) = ends.split_once('-')?;
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (step > 0 && from <= to).then_some((from, to, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parts_between_commas_and_quotes_keep_them_together() {
        assert_eq!(listed("cat, \"a, b\" ,dog"), ["cat", "a, b", "dog"]);
        assert!(listed("").is_empty());
    }

    #[test]
    fn integers_may_be_given_as_ranges() {
        let given = ["1-3".to_owned(), "4-9 (+2)".to_owned(), "-1".to_owned()];
        assert_eq!(
            json!(integers(&given).expect("numbers")),
            json!([1, 2, 3, 4, 6, 8, -1])
        );
        assert!(integers(&["x".to_owned()]).is_err());
    }
}
