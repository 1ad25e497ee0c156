//! Links and LUKS mappings whose device is gone.

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::links;
use crate::inventory::consumers::{Floor, Stack};

use super::{Finding, FindingKind, evidence, mending};

/// Links of encrypted volumes that lead nowhere.
pub fn dangling_links(root: &Root) -> Vec<Finding> {
    let dangling = links::encrypted(root).into_iter().filter(|(link, _)| !attribute::exists(&root.path(link)));
    dangling
        .map(|(link, _)| {
            let link_text = link.display().to_string();
            let target = attribute::link(&root.path(&link)).unwrap_or_default();
            Finding {
                kind: FindingKind::DanglingLink,
                subject: link_text.clone(),
                evidence: vec![evidence(&link_text, format!("leads to {}, which is gone", target.display()))],
                risk: "The kernel gives its device's name to the next volume, and the link then leads to that one.",
                commands: vec![format!("rm {}", mending::word(&link_text))],
            }
        })
        .collect()
}

/// LUKS mappings over a device that was taken away.
pub fn luks_over_nothing(root: &Root) -> Vec<Finding> {
    Stack::read(root).floors.values().filter_map(|floor| open_over_nothing(floor, root)).collect()
}

fn open_over_nothing(floor: &Floor, root: &Root) -> Option<Finding> {
    let mapped = floor.mapped.as_ref().filter(|mapped| mapped.uuid.starts_with("CRYPT-"))?;
    if floor.below.iter().any(|(_, is_there)| *is_there) {
        return None;
    }
    let device = &floor.device;
    let mounts: Vec<_> =
        crate::host::view::mounts::all(root).into_iter().filter(|mount| mount.device == *device).collect();
    let mut seen = vec![evidence(format!("/sys/block/{device}/dm/uuid"), &mapped.uuid)];
    match floor.below.as_slice() {
        [] => seen.push(evidence(format!("/sys/block/{device}/slaves"), "no device")),
        gone => seen.extend(gone.iter().map(|(below, _)| {
            evidence(format!("/sys/block/{device}/slaves/{below}"), "leads to a device that is gone")
        })),
    }
    seen.extend(mounts.iter().map(|mount| evidence(format!("/dev/{device}"), format!("mounted on {}", mount.point))));
    let mut commands: Vec<String> =
        mounts.iter().map(|mount| mending::unmount(&mount.point, device.as_str())).collect();
    commands.push(format!("cryptsetup close {}", mending::word(&mapped.name)));
    Some(Finding {
        kind: FindingKind::LuksOverNothing,
        subject: mapped.name.clone(),
        evidence: seen,
        risk: "Every read and write fails, and the volume's next attach finds its name taken.",
        commands,
    })
}
