//! `/sys/class/fc_host` (kernel: drivers/scsi/scsi_transport_fc.c): the ports of this host.

use std::path::{Component, PathBuf};

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::Wwpn;

const FC_HOSTS: &str = "/sys/class/fc_host";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcHost {
    /// The number in `hostN`.
    pub number: u32,
    /// `/sys/class/fc_host/hostN/port_name`
    pub port_name: Wwpn,
    /// `/sys/class/fc_host/hostN/port_state`: `Online`, `Linkdown`, `Offline` ...
    pub port_state: String,
    /// Where the class entry leads: `/sys/devices/pci0000:00/.../host2/fc_host/host2`.
    pub device: PathBuf,
}

/// All ports, by number; one that cannot be read is left out.
pub fn all(root: &Root) -> Vec<FcHost> {
    let mut hosts: Vec<FcHost> =
        attribute::names(&root.path(FC_HOSTS)).iter().filter_map(|name| read(root, name)).collect();
    hosts.sort_by_key(|host| host.number);
    hosts
}

fn read(root: &Root, name: &str) -> Option<FcHost> {
    let directory = root.path(FC_HOSTS).join(name);
    Some(FcHost {
        number: name.strip_prefix("host")?.parse().ok()?,
        port_name: attribute::text(&directory.join("port_name"))?.parse().ok()?,
        port_state: attribute::text(&directory.join("port_state")).unwrap_or_default(),
        device: attribute::resolved(&directory).map(|place| root.strip(&place))?,
    })
}

impl FcHost {
    pub fn is_online(&self) -> bool {
        self.port_state == "Online"
    }

    /// What udev calls the adapter: the component before the first that begins with `net` (FCoE) or `host`.
    pub fn adapter(&self) -> Option<String> {
        let parts = self.components();
        let end = parts.iter().position(|part| part.starts_with("net") || part.starts_with("host"))?;
        parts.get(end.checked_sub(1)?).map(|part| (*part).to_owned())
    }

    /// The platform device a PCI root hangs on, on machines that are no PCs: `platform-80040000000.peu0-c0`.
    pub fn platform(&self) -> Option<String> {
        let parts = self.components();
        if parts.get(2) != Some(&"platform") {
            return None;
        }
        let root = parts.iter().position(|part| part.starts_with("pci"))?;
        Some(format!("platform-{}", parts.get(root.checked_sub(1)?)?))
    }

    /// The bus id of a zfcp adapter, a channel subsystem's device: `0.0.1700`.
    pub fn ccw_device(&self) -> Option<String> {
        self.components().get(2).filter(|root| root.starts_with("css"))?;
        self.adapter()
    }

    /// `sys`, `devices`, ...
    fn components(&self) -> Vec<&str> {
        self.device
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect()
    }
}
