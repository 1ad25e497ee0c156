//! `/sys/module/nvme_core/parameters` and `/etc/nvme`: what holds for every controller of the host.

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::{Nqn, Uuid};

/// `multipath`: whether the kernel joins the paths to a namespace into one device.  Set at boot.
pub fn is_multipath(root: &Root) -> bool {
    attribute::text(&root.path("/sys/module/nvme_core/parameters/multipath")).as_deref() == Some("Y")
}

/// `/etc/nvme/hostnqn`: the name of this host.
pub fn host_nqn(root: &Root) -> Option<Nqn> {
    attribute::text(&root.path("/etc/nvme/hostnqn"))?.parse().ok()
}

/// `/etc/nvme/hostid`: the id of this host.
pub fn host_id(root: &Root) -> Option<Uuid> {
    attribute::text(&root.path("/etc/nvme/hostid"))?.parse().ok()
}

/// `/etc/nvme/config.json`: keys and options `nvme connect` adds by itself (nvme-cli 2.0).
pub fn has_client_configuration(root: &Root) -> bool {
    attribute::exists(&root.path("/etc/nvme/config.json"))
}
