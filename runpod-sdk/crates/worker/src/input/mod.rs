//! Inputs that are checked as a whole: all that is wrong is told at once.
//!
//! serde decides what fits, and stops at the first thing that does not. Then the input's JSON Schema,
//! which comes from the same type, finds the others. What the schema allows less than the type (ranges,
//! lengths) holds in any case.

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

/// An input that is checked against the JSON Schema of `T`; the handler gets it only if all is well.
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
/// - fields that `T` does not know, with the name that was probably meant. A struct takes others as well if it
///   says `#[schemars(extend("additionalProperties" = true))]`. What serde reads by way of a buffer
///   (`flatten`, enums that are not externally tagged) hides unknown fields from this;
/// - numbers, texts and lists outside the limits of the schema: `#[schemars(range(…))]` and
///   `#[schemars(length(…))]`, with or without a value by default.
///
/// Problems name the types of JSON and quote no more than the first letters of a value.
///
/// The flag `--schema` prints the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<T>(pub T);

/// An input that is checked against its JSON Schema like [`Checked`], and then against its own rules, which
/// are those of `garde`.
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
/// All rules that are broken are told at once, in the same form as other problems. Rules run only on an
/// input of the right shape.
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
                // garde's rules may stand in the schema as well.
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
