//! Errors that callers can act on: a code, whose mistake it was, and what to do.
//!
//! ```text
//! cargo run --example typed_errors -- --test_input '{"input": {"colour": "octarine"}}'
//! cargo run --example typed_errors --features local-server -- \
//!     --rp_serve_api --test_input '{"input": {"colour": "octarine"}}'
//! ```
//!
//! Both exit with 1: the job fails, and its error says what the caller can do.

use std::borrow::Cow;

use runpod_sdk::prelude::*;
use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    colour: String,
}

#[derive(Debug, thiserror::Error)]
enum PaintError {
    #[error("there is no colour called {0}")]
    UnknownColour(String),
    #[error("the paint is out")]
    OutOfPaint,
}

impl IntoJobError for PaintError {
    fn code(&self) -> ErrorCode {
        ErrorCode::new(match self {
            Self::UnknownColour(_) => "UNKNOWN_COLOUR",
            Self::OutOfPaint => "OUT_OF_PAINT",
        })
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownColour(_) => ErrorClass::User,
            Self::OutOfPaint => ErrorClass::Backend,
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::OutOfPaint)
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        matches!(self, Self::UnknownColour(_)).then(|| "use red, green or blue".into())
    }
}

#[handler]
async fn paint(request: Request) -> Result<String, PaintError> {
    match request.colour.as_str() {
        "red" | "green" => Ok(format!("a {} picture", request.colour)),
        "blue" => {
            // What a failed job has logged is shown in its error, unless the request is to blame.
            tracing::warn!("the last tin of blue is empty");
            Err(PaintError::OutOfPaint)
        }
        _ => Err(PaintError::UnknownColour(request.colour)),
    }
}

fn main() -> std::process::ExitCode {
    runpod_sdk::start(paint::worker())
}
