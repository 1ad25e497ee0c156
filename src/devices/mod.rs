//! Decisions common to all transports: is it the right disk, is its map usable, how does it leave the host.

pub mod identify;
pub mod map_watch;
pub mod multipath;
pub mod nameless;
pub mod remove;
pub mod resize;
