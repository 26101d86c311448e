//! A bounded load: many jobs of one input, and what became of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use runpod_client::{ClientError, EndpointClient, JobReport};
use serde::Serialize;
use serde_json::Value;

/// Rows of the histogram, and characters of its longest bar.
const ROWS: usize = 12;
const WIDTH: usize = 40;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) jobs: usize,
    pub(super) concurrency: usize,
    /// No job is submitted after this time.
    pub(super) within: Duration,
    /// What a worker costs per second.
    pub(super) price: Option<f64>,
}

/// What became of the jobs. Times are seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Load {
    submitted: usize,
    completed: usize,
    /// Jobs that did not complete, by their code, or by their state, or by what the client met.
    failures: BTreeMap<String, usize>,
    seconds: f64,
    /// Completed jobs per second.
    throughput: f64,
    /// From the submission to the end, as the client saw it: of completed jobs.
    latency: Quantiles,
    /// How long the jobs waited for a worker.
    delay: Quantiles,
    /// How long they ran.
    execution: Quantiles,
    /// What the workers' time with the jobs has cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip)]
    latencies: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Quantiles {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

/// Submits the jobs and waits for their ends.
pub(super) async fn run(client: &EndpointClient, input: &Value, plan: Plan) -> Load {
    let begun = Instant::now();
    let ends = stream::iter(0..plan.jobs)
        .take_while(|_| std::future::ready(begun.elapsed() < plan.within))
        .map(|_| one(client, input))
        .buffer_unordered(plan.concurrency.max(1))
        .collect::<Vec<_>>()
        .await;
    Load::of(ends, begun.elapsed(), plan.price)
}

type End = (f64, Result<JobReport, ClientError>);

async fn one(client: &EndpointClient, input: &Value) -> End {
    let begun = Instant::now();
    let end = async { client.run(input).await?.wait().await }.await;
    (begun.elapsed().as_secs_f64(), end)
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
    fn of(ends: Vec<End>, took: Duration, price: Option<f64>) -> Self {
        let mut load = Self {
            submitted: ends.len(),
            seconds: took.as_secs_f64(),
            ..Self::default()
        };
        let (mut delays, mut executions) = (Vec::new(), Vec::new());
        for (latency, end) in ends {
            match end {
                Ok(report) => {
                    delays.extend(report.delay.map(|span| span.as_secs_f64()));
                    executions.extend(report.execution.map(|span| span.as_secs_f64()));
                    match report.failure() {
                        None => {
                            load.completed += 1;
                            load.latencies.push(latency);
                        }
                        Some(failure) => {
                            let name = failure.code.unwrap_or_else(|| failure.status.to_string());
                            *load.failures.entry(name).or_default() += 1;
                        }
                    }
                }
                Err(problem) => *load.failures.entry(problem.to_string()).or_default() += 1,
            }
        }
        load.throughput = load.completed as f64 / load.seconds.max(f64::MIN_POSITIVE);
        load.cost = price.map(|price| price * executions.iter().sum::<f64>());
        load.latency = Quantiles::of(&mut load.latencies);
        load.delay = Quantiles::of(&mut delays);
        load.execution = Quantiles::of(&mut executions);
        load
    }

    pub(super) fn all_completed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The report for a person.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} of {} jobs completed in {:.1} s, {:.1} per second\n",
            self.completed, self.submitted, self.seconds, self.throughput
        );
        // Writing to a string does not fail.
        for (name, count) in &self.failures {
            let _ = writeln!(text, "  {count:>6} × {name}");
        }
        let _ = writeln!(
            text,
            "\n{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "seconds", "min", "50 %", "90 %", "99 %", "max"
        );
        for (name, times) in [
            ("latency", self.latency),
            ("waiting", self.delay),
            ("running", self.execution),
        ] {
            let Quantiles {
                min,
                p50,
                p90,
                p99,
                max,
            } = times;
            let _ = writeln!(
                text,
                "{name:<10}{min:>10.3}{p50:>10.3}{p90:>10.3}{p99:>10.3}{max:>10.3}"
            );
        }
        if let Some(cost) = self.cost {
            let _ = writeln!(text, "\ncost of the time with jobs: {cost:.4}");
        }
        let bars = histogram(&self.latencies);
        if !bars.is_empty() {
            let _ = write!(text, "\nlatency\n{bars}");
        }
        text
    }
}

impl Quantiles {
    /// Sorts the times.
    fn of(times: &mut [f64]) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |hundredths: usize| {
            // The smallest time that this share of all does not exceed.
            let rank = (times.len() * hundredths).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            min: at(0),
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: at(100),
        }
    }
}

/// Bars of equal ranges of time, for sorted times.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers, none of them negative"
)]
fn histogram(times: &[f64]) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return String::new();
    };
    let range = ((last - first) / ROWS as f64).max(0.000_001);
    let mut counts = [0_usize; ROWS];
    for time in times {
        let row = ((time - first) / range) as usize;
        counts[row.min(ROWS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (row, count) in counts.into_iter().enumerate() {
        let bar = "█".repeat((count * WIDTH).div_ceil(most));
        let _ = writeln!(text, "{:>9.3} s {bar} {count}", first + range * row as f64);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let mut times: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let quantiles = Quantiles::of(&mut times);
        let expected = Quantiles {
            min: 1.0,
            p50: 100.0,
            p90: 180.0,
            p99: 198.0,
            max: 200.0,
        };
        assert_eq!(quantiles, expected);
        assert_eq!(Quantiles::of(&mut []), Quantiles::default());
    }

    #[test]
    fn a_histogram_counts_each_time_once() {
        let bars = histogram(&[1.0, 1.1, 1.1, 13.0]);
        let counts: Vec<&str> = bars
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(counts[0], "3");
        assert_eq!(counts[ROWS - 1], "1");
        assert_eq!(counts.len(), ROWS);
        assert_eq!(histogram(&[]), "");
        assert!(histogram(&[2.0, 2.0]).starts_with("    2.000 s ████"));
    }
}
