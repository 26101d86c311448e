//! `--schema`: the JSON Schema of the input, for programs to read.

use std::process::ExitCode;

use super::{BAD_FLAG, complain, say};
use crate::worker::Worker;

const NO_SCHEMA: &str = "error: --schema: this worker's input has no JSON Schema.\n\n\
    Take the input as `Checked<T>` (feature `schema` of runpod-sdk), with `#[derive(schemars::JsonSchema)]` on T, \
    or write one by hand: `Worker::input_schema`.";

/// Prints the schema to stdout alone.
pub(super) fn print(worker: &Worker) -> ExitCode {
    match worker.schema() {
        Some(schema) => {
            say(&format!("{schema:#}"));
            ExitCode::SUCCESS
        }
        None => {
            complain(NO_SCHEMA);
            ExitCode::from(BAD_FLAG)
        }
    }
}
