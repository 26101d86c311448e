//! Generation: from checked fields to pictures, infotexts and `info`.

mod info;
mod infotext;
mod plan;
mod run;

pub(crate) use plan::Source;
pub(crate) use run::run;
