//! What the imitated installation holds: models, samplers, schedulers and their kin.

mod installed;
pub(crate) mod model;
pub(crate) mod sampler;
pub(crate) mod sampling;
pub(crate) mod upscaler;

pub(crate) use installed::Installed;
pub use installed::{Lora, Style};
pub use model::Model;
