//! A handler's error is a `JobError` or a type of one's own.
#![deny(warnings)]

use runpod_sdk::prelude::*;
use runpod_sdk::{ErrorCode, IntoJobError};

#[derive(Debug)]
struct NoColour;

impl std::fmt::Display for NoColour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no colour")
    }
}

impl std::error::Error for NoColour {}

impl IntoJobError for NoColour {
    fn code(&self) -> ErrorCode {
        ErrorCode::new("NO_COLOUR")
    }
}

#[handler]
async fn paint(colour: Option<String>) -> Result<String, NoColour> {
    colour.ok_or(NoColour)
}

#[handler]
async fn parse(number: String) -> JobResult<u32> {
    Ok(number.parse()?)
}

#[handler]
async fn refuse(_input: ()) -> Result<(), String> {
    Err("not today".to_owned())
}

#[handler(errors(NoColour))]
async fn mix(colour: Option<String>) -> JobResult<String> {
    Ok(colour.ok_or(NoColour)?)
}

#[handler]
async fn read(path: String) -> Result<String, std::io::Error> {
    std::fs::read_to_string(path)
}

pub(crate) fn main() {
    let _: Worker = mix::worker();
    let _: Worker = read::worker();
    let kept: JobError = NoColour.into();
    assert_eq!(kept.code().as_str(), "NO_COLOUR");
    let _: Worker = paint::worker();
    let _: Worker = parse::worker();
    let _: Worker = refuse::worker();
}
