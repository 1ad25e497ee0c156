//! The engine of os-brick.
//!
//! Only the module map stands here.  Arrows: `boundary -> clean -> transports -> inventory -> devices -> host -> identifiers, error`.

pub mod clean;
pub mod devices;
pub mod error;
pub mod fan_out;
pub mod host;
pub mod identifiers;
pub mod inventory;
pub mod log;
pub mod transports;

#[cfg(feature = "python")]
mod boundary;
