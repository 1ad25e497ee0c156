//! Decisions per protocol.  No transport uses another.

pub mod attachment;
pub mod fibre_channel;
mod first_maps;
pub mod iscsi;
pub mod locks;
pub mod nvmeof;
pub mod outcome;
pub mod portals;
pub mod properties;
pub mod settings;
