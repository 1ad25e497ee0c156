//! Decisions per protocol.  No transport uses another.

pub mod iscsi;
pub mod locks;
pub mod nvmeof;
pub mod portals;
pub mod settings;
