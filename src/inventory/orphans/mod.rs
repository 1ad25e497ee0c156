//! What is left on the host and nobody's any more, or is not what it seems.
//!
//! Only looks.  Each finding carries what was seen, what it may cost, and the commands an operator would type.

mod disks;
mod leftovers;
mod maps;
mod mending;
mod names;
mod records;
mod sessions;

use std::path::Path;

use serde::Serialize;

use crate::host::root::Root;

use super::Inventory;
use super::live::Answers;
use super::records::Kept;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The LUN leads to another disk than the host believes.
    ReusedLun,
    /// The paths of one map lead to different disks.
    MixedIdentities,
    MapWithoutPaths,
    PathOutsideMap,
    LuksOverNothing,
    /// An attach or a detach that did not come to its end.
    HalfDone,
    DanglingLink,
    SessionWithoutDisks,
    RecordWithoutSession,
    ControllerWithoutNamespaces,
    /// What os-brick attached is not on the host.
    RecordWithoutVolume,
    /// The record is from before the host was started.
    StaleRecord,
    /// Signs that another host has the same name.
    HostNameInDoubt,
}

/// Something that was seen: a file or device, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub place: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// The device, session or file it is about.
    pub subject: String,
    pub evidence: Vec<Evidence>,
    /// What may happen if it stays, in one sentence.
    pub risk: &'static str,
    /// What would mend it, in this order, to be typed as root.
    pub commands: Vec<String>,
}

/// Finds everything; the worst first.  `answers` are empty when no disk was asked.
pub fn find_orphans(root: &Root, inventory: &Inventory, answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(disks::reused_luns(root, inventory, answers));
    findings.extend(maps::mixed_identities(inventory));
    findings.extend(maps::without_paths(inventory));
    findings.extend(maps::paths_outside(inventory));
    findings.extend(leftovers::luks_over_nothing(root));
    findings.extend(leftovers::dangling_links(root));
    findings.extend(sessions::without_disks(inventory));
    findings.extend(sessions::records_without_session(root, inventory));
    findings.extend(sessions::controllers_without_namespaces(inventory));
    findings.extend(names::in_doubt(root, inventory));
    findings.sort_by_key(|finding| finding.kind);
    findings
}

/// What attachment records add to the findings.
pub fn add_records(findings: &mut Vec<Finding>, directory: &Path, kept: &[Kept], inventory: &Inventory) {
    findings.extend(records::findings(directory, kept, inventory));
    findings.sort_by_key(|finding| finding.kind);
}

fn evidence(place: impl ToString, value: impl ToString) -> Evidence {
    Evidence { place: place.to_string(), value: value.to_string() }
}
