//! Measured values: samples, medians, targets.

use std::fmt;

use serde::{Serialize, Serializer};

/// Samples of the same thing measured on each program.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Samples {
    pub(crate) ours: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) floor: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) python: Vec<f64>,
}

/// The value in the middle; of an even number of samples, the mean of the two in the middle.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "1/s")]
    PerSecond,
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "MiB")]
    Mebibytes,
}

impl Unit {
    /// A value as people read it.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.*} /s", digits(value)),
            Self::Millis => format!("{value:.*} ms", digits(value)),
            Self::Percent => format!("{value:.2} %"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

/// The number of digits after the point that makes about three in all.
fn digits(value: f64) -> usize {
    match value.abs() {
        100.0.. => 0,
        10.0..100.0 => 1,
        1.0..10.0 => 2,
        _ => 3,
    }
}

/// What a value has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// At least this multiple of the floor's.
    AtLeastFloor(f64),
    /// At most this multiple of the floor's.
    AtMostFloor(f64),
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    /// Stands beside another line for comparison.
    Nothing,
}

impl Target {
    /// Whether a value reaches it. `None` without a floor to compare it with.
    pub(crate) fn is_met(self, ours: f64, floor: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeastFloor(share) => floor.map(|floor| ours >= share * floor),
            Self::AtMostFloor(share) => floor.map(|floor| ours <= share * floor),
            Self::AtLeast(limit) => Some(ours >= limit),
            Self::AtMost(limit) => Some(ours <= limit),
            Self::Below(limit) => Some(ours < limit),
            Self::Nothing => None,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeastFloor(share) => format!("≥ {share} × floor"),
            Self::AtMostFloor(share) => format!("≤ {share} × floor"),
            Self::AtLeast(limit) => format!("≥ {}", Limit(unit, limit)),
            Self::AtMost(limit) => format!("≤ {}", Limit(unit, limit)),
            Self::Below(limit) => format!("< {}", Limit(unit, limit)),
            Self::Nothing => "–".to_owned(),
        }
    }
}

/// A limit is written as it was set: 10 ms, not 10.0 ms. One that was computed is rounded.
struct Limit(Unit, f64);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(unit, limit) = *self;
        if limit.fract() == 0.0 {
            let sign = match unit {
                Unit::PerSecond => "/s",
                Unit::Millis => "ms",
                Unit::Percent => "%",
                Unit::Mebibytes => "MiB",
            };
            write!(f, "{limit} {sign}")
        } else {
            f.write_str(&unit.show(limit))
        }
    }
}

/// One line of the result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) samples: Samples,
    pub(crate) target: Target,
}

impl Line {
    pub(crate) fn ours(&self) -> Option<f64> {
        median(&self.samples.ours)
    }

    pub(crate) fn floor(&self) -> Option<f64> {
        median(&self.samples.floor)
    }

    pub(crate) fn python(&self) -> Option<f64> {
        median(&self.samples.python)
    }

    /// Ours as a multiple of the floor's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let floor = self.floor().filter(|floor| *floor > 0.0)?;
        Some(self.ours()? / floor)
    }

    pub(crate) fn is_met(&self) -> Option<bool> {
        self.target.is_met(self.ours()?, self.floor())
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            name: &'a str,
            unit: Unit,
            ours: Option<f64>,
            floor: Option<f64>,
            python: Option<f64>,
            ratio: Option<f64>,
            target: String,
            met: Option<bool>,
            samples: &'a Samples,
        }
        let form = Form {
            name: &self.name,
            unit: self.unit,
            ours: self.ours(),
            floor: self.floor(),
            python: self.python(),
            ratio: self.ratio(),
            target: self.target.show(self.unit),
            met: self.is_met(),
            samples: &self.samples,
        };
        form.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 900.0]), Some(3.0));
    }

    #[test]
    fn values_have_about_three_digits() {
        assert_eq!(Unit::PerSecond.show(6134.4), "6134 /s");
        assert_eq!(Unit::Millis.show(0.1512), "0.151 ms");
        assert_eq!(Unit::Millis.show(2.204), "2.20 ms");
        assert_eq!(Unit::Millis.show(18.51), "18.5 ms");
        assert_eq!(Unit::Percent.show(99.876), "99.88 %");
    }

    #[test]
    fn a_target_compares_with_the_floor_or_with_a_limit() {
        assert_eq!(Target::AtLeastFloor(0.5).is_met(50.0, Some(100.0)), Some(true));
        assert_eq!(Target::AtLeastFloor(0.5).is_met(49.0, Some(100.0)), Some(false));
        assert_eq!(Target::AtMostFloor(1.2).is_met(1.3, Some(1.0)), Some(false));
        assert_eq!(Target::AtMostFloor(1.2).is_met(1.3, None), None);
        assert_eq!(Target::Below(8.0).is_met(8.0, None), Some(false));
        assert_eq!(Target::AtMost(8.0).is_met(8.0, None), Some(true));
        assert_eq!(Target::AtLeast(99.0).is_met(98.9, None), Some(false));
        assert_eq!(Target::Nothing.is_met(1.0, Some(1.0)), None);
    }

    #[test]
    fn a_target_reads_as_it_was_set() {
        assert_eq!(Target::Below(10.0).show(Unit::Millis), "< 10 ms");
        assert_eq!(Target::AtMostFloor(1.2).show(Unit::Millis), "≤ 1.2 × floor");
        assert_eq!(Target::AtMost(39.37).show(Unit::Mebibytes), "≤ 39.4 MiB");
    }
}
