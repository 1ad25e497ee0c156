//! NVMe over Fabrics: what the connection properties ask for, and how it comes about.

mod connect;
mod controller;
mod coordinate;
mod crew;
mod disconnect;
mod extend;
mod join;
mod memory;
mod namespace;
mod operation;
mod paths;
mod raid;
mod request;
mod vacancy;

pub use connect::{Attachment, connect};
pub use controller::release_unused;
pub use disconnect::disconnect;
pub use extend::extend;
pub use paths::volume_paths;
pub use request::{Replicas, Request, Target};

/// Stops all late paths of this process: it is about to end.
pub use join::stop as stop_background;
