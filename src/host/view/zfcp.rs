//! `/sys/bus/ccw/drivers/zfcp` (kernel: drivers/s390/scsi/zfcp_sysfs.c): adapters, ports and units of IBM Z.
//!
//! Where the adapter is no NPIV one, or automatic scanning is off, a LUN becomes a disk only after it was made a unit.

use std::path::PathBuf;

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::{Lun, Wwpn};

const DRIVER: &str = "/sys/bus/ccw/drivers/zfcp";

/// `ADAPTER/0xWWPN`
fn port(adapter: &str, wwpn: Wwpn) -> PathBuf {
    PathBuf::from(DRIVER).join(adapter).join(wwpn.prefixed())
}

/// Whether the driver has the adapter.
pub fn has_adapter(root: &Root, adapter: &str) -> bool {
    attribute::named(&root.path(DRIVER).join(adapter))
}

/// Whether the adapter knows the remote port.
pub fn has_port(root: &Root, adapter: &str, wwpn: Wwpn) -> bool {
    attribute::named(&root.path(port(adapter, wwpn)))
}

/// Whether a LUN of the port is a unit.
pub fn has_unit(root: &Root, adapter: &str, wwpn: Wwpn, lun: Lun) -> bool {
    attribute::named(&root.path(port(adapter, wwpn).join(lun.address())))
}

/// Writing `1` has the adapter look for ports.
pub fn port_rescan_path(adapter: &str) -> PathBuf {
    PathBuf::from(DRIVER).join(adapter).join("port_rescan")
}

/// Writing a LUN's address makes it a unit.
pub fn unit_add_path(adapter: &str, wwpn: Wwpn) -> PathBuf {
    port(adapter, wwpn).join("unit_add")
}

/// Writing a unit's address removes it, with its disk.
pub fn unit_remove_path(adapter: &str, wwpn: Wwpn) -> PathBuf {
    port(adapter, wwpn).join("unit_remove")
}
