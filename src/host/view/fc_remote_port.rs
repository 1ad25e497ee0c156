//! `/sys/class/fc_remote_ports` (kernel: drivers/scsi/scsi_transport_fc.c): the ports a host port has met in the fabric.

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::Wwpn;

const REMOTE_PORTS: &str = "/sys/class/fc_remote_ports";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePort {
    /// `rport-H:B-R`
    pub name: String,
    /// H and B of `rport-H:B-R`.
    pub host: u32,
    pub channel: u32,
    /// `rport-H:B-R/port_name`
    pub port_name: Wwpn,
    /// `rport-H:B-R/node_name`, where it was asked for
    pub node_name: Option<Wwpn>,
    /// `rport-H:B-R/port_state`: `Online`, `Marginal`, `Blocked`, `Not Present` ...
    pub port_state: String,
    /// `rport-H:B-R/scsi_target_id`: the T of its H:C:T:L; None for a port that is no target (`-1`).
    pub target_id: Option<u32>,
}

/// All remote ports, by name; one that cannot be read is left out.
pub fn all(root: &Root) -> Vec<RemotePort> {
    let mut ports = addresses(root);
    for port in &mut ports {
        let node_name = attribute::text(&root.path(REMOTE_PORTS).join(&port.name).join("node_name"));
        port.node_name = node_name.and_then(|name| name.parse().ok());
    }
    ports
}

/// The same without the names of their nodes, which no address needs.
pub fn addresses(root: &Root) -> Vec<RemotePort> {
    attribute::names(&root.path(REMOTE_PORTS)).iter().filter_map(|name| read(root, name)).collect()
}

fn read(root: &Root, name: &str) -> Option<RemotePort> {
    let (host, rest) = name.strip_prefix("rport-")?.split_once(':')?;
    let (channel, _) = rest.split_once('-')?;
    let directory = root.path(REMOTE_PORTS).join(name);
    let text = |attribute: &str| attribute::text(&directory.join(attribute));
    Some(RemotePort {
        name: name.to_owned(),
        host: host.parse().ok()?,
        channel: channel.parse().ok()?,
        port_name: text("port_name")?.parse().ok()?,
        node_name: None,
        port_state: text("port_state").unwrap_or_default(),
        target_id: text("scsi_target_id").and_then(|id| id.parse().ok()),
    })
}

impl RemotePort {
    /// Whether the kernel scans it: it passes every other port over (`fc_user_scan`).
    pub fn is_online(&self) -> bool {
        matches!(self.port_state.as_str(), "Online" | "Marginal")
    }
}
