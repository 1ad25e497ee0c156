//! `/sys/class/fc_transport` (kernel: drivers/scsi/scsi_transport_fc.c): the SCSI targets behind remote ports.

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::Wwpn;

const TARGETS: &str = "/sys/class/fc_transport";

/// `targetH:C:T`, which is there once a device of it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub host: u32,
    pub channel: u32,
    pub id: u32,
}

/// All targets, by name.
pub fn all(root: &Root) -> Vec<Target> {
    attribute::names(&root.path(TARGETS)).iter().filter_map(|name| Target::named(name)).collect()
}

impl Target {
    fn named(name: &str) -> Option<Target> {
        let mut numbers = name.strip_prefix("target")?.split(':');
        let mut next = || numbers.next()?.parse().ok();
        Some(Target { host: next()?, channel: next()?, id: next()? })
    }

    /// `targetH:C:T/port_name`
    pub fn port_name(&self, root: &Root) -> Option<Wwpn> {
        let name = format!("target{}:{}:{}", self.host, self.channel, self.id);
        attribute::text(&root.path(TARGETS).join(name).join("port_name"))?.parse().ok()
    }
}
