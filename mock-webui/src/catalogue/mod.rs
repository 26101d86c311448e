//! What the imitated installation holds: models, samplers, schedulers and their kin.

pub(crate) mod model;
pub(crate) mod sampler;

pub use model::Model;
