//! The journal on a disk that fails, that hangs, or whose process or power ends at any step.

mod crashes;
mod faults;
pub(crate) mod hanging_disk;
mod memory_disk;
mod sharing;

use crate::job::{Identity, Outcome, Report};
use crate::json::RawJson;

fn report(output: &str) -> Report {
    let outcome = Outcome::Completed(RawJson::from(serde_json::json!(output)));
    Report::of(&outcome, false, &Identity::default()).expect("a result is reported")
}

fn body(report: &Report) -> String {
    String::from_utf8_lossy(&report.pieces().concat()).into_owned()
}
