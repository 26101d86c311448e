//! The journal on a disk that fails, that hangs, or whose process or power ends at any step.

mod crashes;
mod faults;
pub(crate) mod hanging_disk;
mod memory_disk;
mod sharing;

use crate::job::{JobReport, Outcome, WorkerIdentity};
use crate::json::RawJson;

fn report(output: &str) -> JobReport {
    let outcome = Outcome::Completed(RawJson::from(serde_json::json!(output)));
    JobReport::of(&outcome, false, &WorkerIdentity::default()).expect("a result is reported")
}

fn body(report: &JobReport) -> String {
    String::from_utf8_lossy(&report.pieces().concat()).into_owned()
}
