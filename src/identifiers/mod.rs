//! Names of things, parsed once at the door and printed exactly.
//!
//! Nothing here reads the machine.

mod device_name;
mod hctl;
mod iqn;
mod lun;
mod portal;
mod secret;
mod wwid;

pub use device_name::DeviceName;
pub use hctl::Hctl;
pub use iqn::Iqn;
pub use lun::{AddressingMode, Lun};
pub use portal::Portal;
pub use secret::Secret;
pub use wwid::{Wwid, scsi_id};
