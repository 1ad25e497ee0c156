//! Signs that the host's own names are not its own: an image was cloned, or a file changed under running sessions.

use std::collections::BTreeSet;

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::{iscsi_session, nvme_controller};
use crate::inventory::Inventory;

use super::{Evidence, Finding, FindingKind, evidence};

const INITIATOR: &str = "/etc/iscsi/initiatorname.iscsi";
const HOST_NQN: &str = "/etc/nvme/hostnqn";
const RISK: &str = "Storage that takes two hosts for one maps the volumes of each to both, and ends the sessions of the \
                    one when the other logs in.";

pub fn in_doubt(root: &Root, inventory: &Inventory) -> Vec<Finding> {
    let iscsi = initiator(root, inventory).map(|seen| finding(INITIATOR, seen, "iscsi-iname", "iscsid"));
    let nvme = host_nqn(root).map(|seen| finding(HOST_NQN, seen, "nvme gen-hostnqn", ""));
    iscsi.into_iter().chain(nvme).collect()
}

/// A new name is the last resort: the storage has to learn it.  The commands show what to compare and how to get one.
fn finding(file: &str, seen: Vec<Evidence>, new_name: &str, service: &str) -> Finding {
    let mut commands = vec![format!("cat {file}")];
    if service.is_empty() {
        commands.push(format!("{new_name} > {file}"));
    } else {
        commands.push(format!("echo \"InitiatorName=$({new_name})\" > {file}"));
        commands.push(format!("systemctl restart {service}"));
    }
    Finding { kind: FindingKind::HostNameInDoubt, subject: file.to_owned(), evidence: seen, risk: RISK, commands }
}

/// Several names in the file, or sessions under another one.  Interfaces may have a name of their own.
fn initiator(root: &Root, inventory: &Inventory) -> Option<Vec<Evidence>> {
    let text = attribute::text(&root.path(INITIATOR))?;
    let names: BTreeSet<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("InitiatorName=")).map(str::trim).collect();
    let mut seen: Vec<Evidence> = names.iter().map(|name| evidence(INITIATOR, name)).collect();
    let several = names.len() > 1;
    let others = inventory.sessions.iter().filter_map(|session| {
        let (interface, name) = iscsi_session::initiator(root, session.sid)?;
        let ours = names.contains(name.as_str()) || !matches!(interface.as_str(), "default" | "iser");
        (!ours).then(|| evidence(format!("/sys/class/iscsi_session/session{}/initiatorname", session.sid), name))
    });
    let before = seen.len();
    seen.extend(others);
    (several || (before > 0 && seen.len() > before)).then_some(seen)
}

/// Controllers that were connected under another name than the file's.
fn host_nqn(root: &Root) -> Option<Vec<Evidence>> {
    let own = attribute::text(&root.path(HOST_NQN)).filter(|name| !name.is_empty())?;
    let mut seen = vec![evidence(HOST_NQN, &own)];
    let controllers = nvme_controller::all(root);
    seen.extend(controllers.iter().filter(|controller| controller.is_of_fabric(root)).filter_map(|controller| {
        let other = controller.host_nqn(root).filter(|name| *name != own)?;
        Some(evidence(format!("/sys/class/nvme/{}/hostnqn", controller.name()), other))
    }));
    (seen.len() > 1).then_some(seen)
}
