//! The real program on a platform that misbehaves, over real sockets.

#![expect(clippy::unwrap_used, reason = "all of this is test code, the helpers too")]

mod conversation;
mod crowd;
mod delivery;
mod exit;
mod heartbeat;
mod just_in_time;
mod shutdown;
mod support;
mod take;
