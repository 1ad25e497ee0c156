//! Disks that are not what the host takes them for.

use crate::host::act::inquiry::Answer;
use crate::host::root::Root;
use crate::host::view::scsi;
use crate::identifiers::scsi_id;
use crate::inventory::live::Answers;
use crate::inventory::{Inventory, Path, Volume};

use super::{Evidence, Finding, FindingKind, evidence, mending};

/// Disks whose LUN leads elsewhere since the kernel read their identity: one finding for each volume.
pub fn reused_luns(root: &Root, inventory: &Inventory, answers: &Answers) -> Vec<Finding> {
    inventory.volumes.iter().filter_map(|volume| reused(root, volume, answers)).collect()
}

fn reused(root: &Root, volume: &Volume, answers: &Answers) -> Option<Finding> {
    let stale: Vec<(&Path, String)> = volume
        .paths
        .iter()
        .filter_map(|path| Some((path, elsewhere(root, path, answers.by_disk.get(&path.device)?)?)))
        .collect();
    if stale.is_empty() {
        return None;
    }
    let mut seen: Vec<Evidence> = stale.iter().flat_map(|(path, now)| both(path, now)).collect();
    seen.extend(volume.uses().into_iter().map(|used| evidence(format!("/dev/{}", volume.device), used)));
    let whole = stale.len() == volume.paths.len();
    let mut commands =
        if whole { mending::remove(volume) } else { stale.iter().map(|(path, _)| mending::delete(path)).collect() };
    commands.extend(stale.iter().filter_map(|(path, _)| mending::scan(path)));
    Some(Finding {
        kind: FindingKind::ReusedLun,
        subject: volume.device.to_string(),
        evidence: seen,
        risk: "Reads give the data of another volume and writes destroy it; whoever uses this device must stop first.",
        commands,
    })
}

fn both(path: &Path, now: &str) -> [Evidence; 2] {
    let was = path.identity.as_ref().map_or("no identity", |identity| identity.as_str());
    [
        evidence(format!("/sys/block/{}/device/vpd_pg83", path.device), was),
        evidence(format!("/dev/{} now", path.device), now),
    ]
}

/// What the LUN says now, if that is not what the kernel remembers.
fn elsewhere(root: &Root, path: &Path, answer: &Answer) -> Option<String> {
    let Answer::Page(now) = answer else {
        return Some("no disk".to_owned());
    };
    // Without the kernel's copy there is nothing to compare: its other attribute may name another designator.
    let was = scsi::page(root, &path.device)?;
    match (scsi_id(&was), scsi_id(now)) {
        (Some(was), Some(now)) => (was != now).then(|| now.to_string()),
        // Text designators: the page as a whole.
        (None, None) => (trimmed(&was) != trimmed(now)).then(|| "another identity".to_owned()),
        (_, Some(now)) => Some(now.to_string()),
        (_, None) => Some("another identity".to_owned()),
    }
}

/// The page without what lies behind its end.
fn trimmed(page: &[u8]) -> &[u8] {
    let length = page.get(2..4).map_or(0, |length| 4 + usize::from(u16::from_be_bytes([length[0], length[1]])));
    &page[..length.min(page.len())]
}
