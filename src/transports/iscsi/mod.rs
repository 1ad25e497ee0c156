//! iSCSI and iSER: what the connection properties ask for, and how it comes about.

mod connect;
mod coordinate;
mod crew;
mod disconnect;
mod discovery;
mod extend;
mod join;
mod operation;
mod outcome;
mod path;
mod paths;
mod record;
mod request;
mod session;
mod templates;

pub use connect::connect;
pub use disconnect::disconnect;
pub use extend::extend;
pub use outcome::Attachment;
pub use paths::{volume_devices, volume_paths};
pub use request::{Credentials, Request, Target};
pub use session::release_unused;

/// Stops all late paths of this process: it is about to end.
pub use join::stop as stop_background;
