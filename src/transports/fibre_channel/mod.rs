//! Fibre Channel and FCoE: what the connection properties ask for, and how it comes about.

mod answer;
mod connect;
mod coordinate;
mod disconnect;
mod extend;
mod fabric;
mod join;
mod operation;
mod path;
mod paths;
mod request;
mod scan;
mod zfcp;

pub use connect::{Attachment, connect};
pub use disconnect::disconnect;
pub use extend::extend;
pub use paths::{scan_plan, volume_devices, volume_paths};
pub use request::{Request, Target};

/// Stops all late paths of this process: it is about to end.
pub use join::stop as stop_background;
