//! The memory and load of the GPUs, read from the driver at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::fitness::{FitnessError, GpuFacts, gpus};

#[derive(Debug)]
pub(super) struct Gpus {
    ask: fn() -> Result<Vec<GpuFacts>, FitnessError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CardLabels {
    gpu: String,
    name: String,
}

impl Gpus {
    pub(super) fn new() -> Self {
        Self { ask: gpus }
    }
}

impl Collector for Gpus {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A driver that does not answer has no figures. A fitness check reports it.
        let Ok(cards) = (self.ask)() else {
            return Ok(());
        };
        let bytes = |bytes: u64| GaugeValue::Whole(i64::try_from(bytes).unwrap_or(i64::MAX));
        one(
            &mut encoder,
            ("gpu_memory_free", Unit::Bytes, "Free memory of a GPU"),
            &cards,
            |card| card.free_memory.map(bytes),
        )?;
        one(
            &mut encoder,
            ("gpu_memory_total", Unit::Bytes, "Memory of a GPU"),
            &cards,
            |card| card.total_memory.map(bytes),
        )?;
        one(
            &mut encoder,
            (
                "gpu_utilization",
                Unit::Ratios,
                "Part of the time in which a GPU computed",
            ),
            &cards,
            |card| Some(GaugeValue::Part(f64::from(card.utilization?) / 100.0)),
        )
    }
}

enum GaugeValue {
    Whole(i64),
    Part(f64),
}

/// Writes one figure of all cards that have it.
fn one(
    encoder: &mut DescriptorEncoder<'_>,
    (name, unit, help): (&str, Unit, &str),
    cards: &[GpuFacts],
    figure: impl Fn(&GpuFacts) -> Option<GaugeValue>,
) -> fmt::Result {
    let known: Vec<_> = cards
        .iter()
        .enumerate()
        .filter_map(|(index, card)| Some((index, &card.name, figure(card)?)))
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
    for (index, name, number) in known {
        let card = CardLabels {
            gpu: index.to_string(),
            name: name.clone(),
        };
        let series = family.encode_family(&card)?;
        match number {
            GaugeValue::Whole(number) => ConstGauge::new(number).encode(series)?,
            GaugeValue::Part(number) => ConstGauge::new(number).encode(series)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::tests::figures;

    fn scraped(ask: fn() -> Result<Vec<GpuFacts>, FitnessError>) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Gpus { ask }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        figures(&text)
            .into_iter()
            .map(|(series, value)| format!("{series} {value}"))
            .collect()
    }

    #[test]
    fn each_card_has_its_figures() {
        let figures = scraped(|| {
            let card = |name: &str, memory: Option<u64>| GpuFacts {
                name: name.to_owned(),
                free_memory: memory,
                total_memory: memory.map(|bytes| bytes * 2),
                utilization: memory.map(|_| 25),
            };
            Ok(vec![card("old", None), card("A \"40\"", Some(10))])
        });
        assert_eq!(
            figures,
            [
                r#"gpu_memory_free_bytes{gpu="1",name="A \"40\""} 10"#,
                r#"gpu_memory_total_bytes{gpu="1",name="A \"40\""} 20"#,
                r#"gpu_utilization_ratios{gpu="1",name="A \"40\""} 0.25"#,
            ]
        );
    }

    #[test]
    fn without_a_driver_that_answers_there_are_no_figures() {
        assert!(scraped(|| Ok(Vec::new())).is_empty());
        assert!(scraped(|| Err(FitnessError::Gpu("broken".to_owned()))).is_empty());
    }
}
