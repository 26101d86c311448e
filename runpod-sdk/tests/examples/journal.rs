//! The example `journal`, killed at the worst moments, against the platform on this machine.

mod disks;
mod lives;
mod rig;
