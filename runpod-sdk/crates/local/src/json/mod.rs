//! JSON that the platform writes, around payloads that are not copied.

pub(crate) mod job_view;
mod writer;

pub(crate) use self::writer::{BodyParts, JsonWriter, Sent};
