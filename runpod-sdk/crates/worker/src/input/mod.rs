//! Typed inputs that report all their problems at once.
//!
//! serde decodes the input and stops at the first problem. The JSON Schema of the same type finds the others. Limits
//! that only the schema has (ranges, lengths) always hold.

mod decode;
mod finding;
mod published;
mod shape;
#[cfg(test)]
mod tests;

use std::ops::Deref;

use garde::Validate;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::handler::JobInput;
use crate::job::{InputProblem, JobError};
use crate::json::RawJson;

/// An input that is checked against the JSON Schema of `T`. The handler runs only if the input passes.
///
/// ```
/// use runpod_sdk::Checked;
/// use runpod_sdk::prelude::*;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Prompt {
///     prompt: String,
///     #[serde(default)]
///     #[schemars(range(min = 1, max = 150))]
///     steps: Option<u8>,
/// }
///
/// #[handler]
/// async fn paint(Checked(input): Checked<Prompt>) -> JobResult<String> {
///     Ok(format!("a picture of {}", input.prompt))
/// }
///
/// assert!(paint::worker().schema().is_some());
/// ```
///
/// A bad input fails the job as `INVALID_INPUT`, with every problem and its path in the details
/// ([`JobError::invalid_inputs`]):
///
/// - values of another type, or not among those of an `enum`, with what was probably meant;
/// - missing fields;
/// - fields that `T` does not know, with the name that was probably meant. A struct accepts other fields if it has
///   `#[schemars(extend("additionalProperties" = true))]`. Types that serde buffers (`flatten`, enums that are not
///   externally tagged) hide their unknown fields from this check;
/// - numbers, texts and lists outside the limits of the schema: `#[schemars(range(…))]` and `#[schemars(length(…))]`,
///   whether or not the field has a default.
///
/// Problems name JSON types and quote at most the first characters of a value.
///
/// The flag `--schema` prints the schema.
///
/// `JsonSchema` is that of `schemars` 1. A program that depends on another major version has a trait of the same name that
/// does not fit; `runpod_sdk::schemars` is the one that does:
///
/// ```
/// use runpod_sdk::schemars::{self, JsonSchema};
///
/// #[derive(serde::Deserialize, JsonSchema)]
/// #[schemars(crate = "runpod_sdk::schemars")]
/// struct Prompt {
///     prompt: String,
/// }
/// # fn is_input(_: impl Fn(runpod_sdk::Checked<Prompt>)) {}
/// ```
#[doc(alias = "rp_validator")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<T>(pub T);

/// An input that is checked against its JSON Schema like [`Checked`], and then against its rules of `garde` 0.23
/// (`runpod_sdk::garde`).
///
/// ```
/// use runpod_sdk::Validated;
/// use runpod_sdk::prelude::*;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema, garde::Validate)]
/// struct Size {
///     #[garde(custom(multiple_of_8))]
///     width: u32,
///     #[garde(custom(multiple_of_8))]
///     height: u32,
/// }
///
/// fn multiple_of_8(side: &u32, _: &()) -> garde::Result {
///     if side % 8 == 0 { Ok(()) } else { Err(garde::Error::new("must be a multiple of 8")) }
/// }
///
/// #[handler]
/// async fn paint(Validated(size): Validated<Size>) -> JobResult<u32> {
///     Ok(size.width * size.height)
/// }
/// ```
///
/// All broken rules are reported at once, in the same form as other problems. Rules run only on an input that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validated<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + 'static> JobInput for Checked<T> {
    fn read(raw: RawJson) -> Result<Self, JobError> {
        let (value, problems) = decode::read::<T>(&raw)?;
        accept(value, problems).map(Self)
    }

    fn schema() -> Option<Value> {
        Some(published::schema_of::<T>())
    }
}

impl<T> JobInput for Validated<T>
where
    T: DeserializeOwned + JsonSchema + Validate + 'static,
    T::Context: Default,
{
    fn read(raw: RawJson) -> Result<Self, JobError> {
        let (value, mut problems) = decode::read::<T>(&raw)?;
        if let Err(report) = value.validate() {
            for (path, error) in report.iter() {
                let path = path.to_string();
                // A rule of garde may also be a limit of the schema: report it once.
                problems.retain(|known| known.path != path);
                problems.push(InputProblem::new(path, error.message().to_owned()));
            }
        }
        accept(value, problems).map(Self)
    }

    fn schema() -> Option<Value> {
        Some(published::schema_of::<T>())
    }
}

fn accept<T>(value: T, problems: Vec<InputProblem>) -> Result<T, JobError> {
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(JobError::invalid_inputs(problems))
    }
}

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for Validated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
