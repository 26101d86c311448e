//! The registry of error types that keep their code through `?`.

use std::any::TypeId;
use std::error::Error as StdError;

use runpod_protocol::sync::Mutex;

use super::{IntoJobError, JobError};

/// Copies code, class, hint and details to the job's error if the cause has the registered type.
type Describe = fn(&(dyn StdError + 'static), &mut JobError);

static KNOWN: Mutex<Vec<(TypeId, Describe)>> = Mutex::new(Vec::new());

/// Makes `?` keep the code, class, hint and details that `E` has by [`IntoJobError`], everywhere in this process.
///
/// `?` converts any error to a [`JobError`] and cannot see which traits its type has. Call this once for each error
/// type of your own, in `main` before [`start`](crate::start). Calling it again changes nothing.
///
/// ```
/// use runpod_sdk::{ErrorCode, IntoJobError, JobResult};
/// use runpod_sdk::job::keep_code_of;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("there is no model called {0}")]
/// struct NoModel(String);
///
/// impl IntoJobError for NoModel {
///     fn code(&self) -> ErrorCode {
///         ErrorCode::new("NO_MODEL")
///     }
/// }
///
/// fn load(name: &str) -> JobResult<()> {
///     Err(NoModel(name.to_owned()))?
/// }
///
/// keep_code_of::<NoModel>();
/// assert_eq!(load("xl").unwrap_err().code().as_str(), "NO_MODEL");
/// ```
pub fn keep_code_of<E: IntoJobError + StdError + 'static>() {
    let mut known = KNOWN.lock();
    if known.iter().all(|(id, _)| *id != TypeId::of::<E>()) {
        known.push((TypeId::of::<E>(), |cause, failed| {
            if let Some(cause) = cause.downcast_ref::<E>() {
                failed.describe(cause);
            }
        }));
    }
}

/// Copies what registered types know about `cause` to `failed`.
pub(super) fn describe(cause: &(dyn StdError + 'static), failed: &mut JobError) {
    // The lock is not held while methods of the error types run.
    let known = KNOWN.lock().clone();
    for (_, describe) in known {
        describe(cause, failed);
    }
}
