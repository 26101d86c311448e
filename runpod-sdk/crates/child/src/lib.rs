//! Child processes: started in one way, ended together with what they have started, and reaped.
//!
//! | what | where |
//! |---|---|
//! | a program, started as the leader of a process group | [`ChildBuilder`], [`GroupLeader`], [`ProcessGroup`] |
//! | the variables that it inherits | [`Inheritance`], [`is_secret_name`] |
//! | the GPUs that it sees | [`VisibleGpus`] |
//! | processes whose parent has ended | [`reap_orphans`] |
//! | what it may read of this process | [`hide_own_environment`] |
//!
//! Nothing here knows a worker, a platform or a WebUI.

mod builder;
mod environment;
mod gpus;
mod group;
mod orphans;
mod privacy;
mod registry;

pub use builder::ChildBuilder;
pub use environment::{Inheritance, is_secret_name};
pub use gpus::VisibleGpus;
pub use group::{GroupLeader, ProcessGroup};
pub use orphans::reap_orphans;
pub use privacy::hide_own_environment;
