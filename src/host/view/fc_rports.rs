//! `/sys/class/fc_remote_ports` (kernel: drivers/scsi/scsi_transport_fc.c), by the SCSI targets behind the ports.

use std::collections::HashMap;

use crate::host::attribute;
use crate::host::root::Root;

const REMOTE_PORTS: &str = "/sys/class/fc_remote_ports";

/// The port behind a SCSI target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePort {
    /// `rport-H:B-R`
    pub name: String,
    /// `port_name`, without `0x`
    pub port_name: String,
    /// `node_name`, without `0x`
    pub node_name: Option<String>,
    /// `port_state`: `Online`, `Marginal`, `Blocked`, `Not Present` ...
    pub state: String,
}

impl RemotePort {
    pub fn is_online(state: &str) -> bool {
        matches!(state, "Online" | "Marginal")
    }
}

/// The ports that are targets, by host, channel and target.
pub fn by_target(root: &Root) -> HashMap<(u32, u32, u32), RemotePort> {
    attribute::unsorted_names(&root.path(REMOTE_PORTS)).filter_map(|name| read(root, name)).collect()
}

fn read(root: &Root, name: String) -> Option<((u32, u32, u32), RemotePort)> {
    let (host, rest) = name.strip_prefix("rport-")?.split_once(':')?;
    let (channel, _) = rest.split_once('-')?;
    let directory = root.path(REMOTE_PORTS).join(&name);
    let text = |attribute: &str| attribute::text(&directory.join(attribute));
    let world_wide = |attribute: &str| text(attribute).map(|name| name.trim_start_matches("0x").to_owned());
    // A port that is no target has -1.
    let target = (host.parse().ok()?, channel.parse().ok()?, text("scsi_target_id")?.parse().ok()?);
    let port = RemotePort {
        port_name: world_wide("port_name")?,
        node_name: world_wide("node_name"),
        state: text("port_state").unwrap_or_default(),
        name,
    };
    Some((target, port))
}
