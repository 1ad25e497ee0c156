//! Names of things, parsed once at the door and printed exactly.
//!
//! Nothing here reads the machine.

mod device_name;
mod fabric_portal;
mod hctl;
mod iqn;
mod lun;
mod nqn;
mod portal;
mod secret;
mod uuid;
mod wwid;
mod wwpn;

pub use device_name::DeviceName;
pub use fabric_portal::{Fabric, FabricPortal};
pub use hctl::Hctl;
pub use iqn::Iqn;
pub use lun::{AddressingMode, Lun};
pub use nqn::Nqn;
pub use portal::Portal;
pub use secret::Secret;
pub use uuid::Uuid;
pub use wwid::{Naming, Wwid, naming, scsi_id};
pub use wwpn::Wwpn;
