//! Sessions, node records and controllers that lead to no volume.

use crate::host::root::Root;
use crate::host::view::node_record;
use crate::identifiers::Portal;
use crate::inventory::{Inventory, Session};

use super::mending::word;
use super::{Finding, FindingKind, evidence};

fn iscsiadm(target: &str, portal: &str, action: &str) -> String {
    format!("iscsiadm --mode node --targetname {} --portal {} {action}", word(target), word(portal))
}

/// iSCSI sessions without a disk.
pub fn without_disks(inventory: &Inventory) -> Vec<Finding> {
    let empty = inventory.sessions.iter().filter(|session| session.disks.is_empty());
    empty.map(empty_session).collect()
}

fn empty_session(session: &Session) -> Finding {
    let directory = format!("/sys/class/iscsi_session/session{}", session.sid);
    let state = session.state.clone().unwrap_or_else(|| "unknown".to_owned());
    let commands = session.portal.as_ref().map_or_else(
        || vec![format!("iscsiadm --mode session --sid {} --logout", session.sid)],
        |portal| {
            let to = |action: &str| iscsiadm(&session.target, portal, action);
            vec![to("--logout"), to("--op delete")]
        },
    );
    Finding {
        kind: FindingKind::SessionWithoutDisks,
        subject: format!("session{}", session.sid),
        evidence: vec![
            evidence(format!("{directory}/targetname"), &session.target),
            evidence(format!("{directory}/state"), state),
            evidence(format!("{directory}/device"), "no disk"),
        ],
        risk: "It costs the storage a session, and whatever is mapped to this host later may appear by itself; an \
               attach that is under way looks the same for a moment.",
        commands,
    }
}

/// Node records as attaches make them, of portals nobody is logged in to.  Only root sees them.
pub fn records_without_session(root: &Root, inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (target, record) in node_record::all(root) {
        let is_of = |session: &&Session| {
            let portal = session.portal.as_deref().and_then(|portal| portal.parse::<Portal>().ok());
            session.target == target && portal.as_ref() == Some(&record.portal)
        };
        if inventory.sessions.iter().any(|session| is_of(&session)) {
            continue;
        }
        let made = record.files.iter().find(|file| node_record::is_of_attach(root, file));
        if let Some(file) = made {
            findings.push(Finding {
                kind: FindingKind::RecordWithoutSession,
                subject: format!("{} {target}", record.portal),
                evidence: vec![
                    evidence(file.display(), "node.session.scan = manual, node.startup = automatic"),
                    evidence("/sys/class/iscsi_session", "no session with this portal and target"),
                ],
                risk: "At the next boot the host logs in to a target it has no volume of, or waits for one that is gone.",
                commands: vec![iscsiadm(&target, &record.portal.to_string(), "--op delete")],
            });
        }
    }
    findings
}

/// Controllers of a fabric that lead to no namespace.
pub fn controllers_without_namespaces(inventory: &Inventory) -> Vec<Finding> {
    let empty = inventory.controllers.iter().filter(|one| !one.discovery && one.namespaces.is_empty());
    empty
        .map(|controller| {
            let directory = format!("/sys/class/nvme/{}", controller.name);
            Finding {
                kind: FindingKind::ControllerWithoutNamespaces,
                subject: controller.name.clone(),
                evidence: vec![
                    evidence(format!("{directory}/subsysnqn"), controller.subsystem.as_deref().unwrap_or("unknown")),
                    evidence(format!("{directory}/address"), &controller.portal),
                    evidence(format!("{directory}/state"), &controller.state),
                    evidence(&directory, "no namespace"),
                ],
                risk: "It costs the storage a connection and reconnects for ever; whatever is mapped to this host later \
                       appears by itself.",
                commands: vec![format!("nvme disconnect --device {}", word(&controller.name))],
            }
        })
        .collect()
}
