//! What the environment says: the platform's variables and the worker's own.

mod config;
mod form;
mod url_template;

pub(crate) use config::{Config, local_identity};
pub use form::Variables;
pub(crate) use form::set;
pub(crate) use url_template::Template;
