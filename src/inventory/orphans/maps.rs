//! Multipath maps and their disks.

use std::collections::HashMap;

use crate::identifiers::Wwid;
use crate::inventory::{Inventory, Kind, Path, Volume};

use super::{Evidence, Finding, FindingKind, evidence, mending};

fn maps(inventory: &Inventory) -> impl Iterator<Item = &Volume> {
    inventory.volumes.iter().filter(|volume| volume.kind == Kind::Multipath)
}

fn uuid_of(map: &Volume) -> Evidence {
    let wwid = map.identity.as_ref().map_or("", Wwid::as_str);
    evidence(format!("/sys/block/{}/dm/uuid", map.device), format!("mpath-{wwid}"))
}

fn identity_of(path: &Path) -> Evidence {
    let identity = path.identity.as_ref().map_or("no identity", Wwid::as_str);
    evidence(format!("/sys/block/{}/device/vpd_pg83", path.device), identity)
}

/// Maps no I/O gets through: without disks, or with all of them down.
pub fn without_paths(inventory: &Inventory) -> Vec<Finding> {
    let dead = maps(inventory).filter(|map| !map.is_usable());
    dead.map(|map| {
        let mut seen = vec![uuid_of(map)];
        if map.paths.is_empty() {
            seen.push(evidence(format!("/sys/block/{}/slaves", map.device), "no disk"));
        }
        seen.extend(map.paths.iter().flat_map(state_of));
        seen.extend(map.uses().into_iter().map(|used| evidence(format!("/dev/{}", map.device), used)));
        Finding {
            kind: FindingKind::MapWithoutPaths,
            subject: map.device.to_string(),
            evidence: seen,
            risk: "Whoever opens it, udev and LVM included, hangs or fails; if its volume is still attached, its \
                   storage is away and must come back instead.",
            commands: mending::remove(map),
        }
    })
    .collect()
}

fn state_of(path: &Path) -> Vec<Evidence> {
    let unknown = || "unknown".to_owned();
    let mut seen =
        vec![evidence(format!("/sys/block/{}/device/state", path.device), path.state.clone().unwrap_or_else(unknown))];
    if let Some(name) = &path.connection.name {
        seen.push(evidence(name, path.connection.state.clone().unwrap_or_else(unknown)));
    }
    seen
}

/// Maps whose disks carry different identities.
pub fn mixed_identities(inventory: &Inventory) -> Vec<Finding> {
    maps(inventory).filter_map(mixed).collect()
}

fn mixed(map: &Volume) -> Option<Finding> {
    let first = map.paths.first()?;
    if map.paths.iter().all(|path| path.identity == first.identity) {
        return None;
    }
    // multipath may be told to name a map by something else; then no disk carries its name, and each is suspect.
    let own = map.paths.iter().any(|path| path.identity == map.identity);
    let wrong: Vec<&Path> = map.paths.iter().filter(|path| !own || path.identity != map.identity).collect();
    let mut commands = Vec::new();
    for path in &wrong {
        commands.push(format!("multipathd remove path {}", path.device));
        commands.push(mending::delete(path));
    }
    commands.extend(wrong.iter().filter_map(|path| mending::scan(path)));
    Some(Finding {
        kind: FindingKind::MixedIdentities,
        subject: map.device.to_string(),
        evidence: std::iter::once(uuid_of(map)).chain(map.paths.iter().map(identity_of)).collect(),
        risk: "Blocks of two volumes are mixed: what was written through one path is read from another disk.",
        commands,
    })
}

/// Disks that carry the identity of a map and are not in it.
pub fn paths_outside(inventory: &Inventory) -> Vec<Finding> {
    let by_identity: HashMap<&Wwid, &Volume> =
        maps(inventory).filter_map(|map| Some((map.identity.as_ref()?, map))).collect();
    let alone = inventory.volumes.iter().filter(|volume| volume.kind == Kind::Disk);
    alone
        .filter_map(|disk| {
            let map = by_identity.get(disk.identity.as_ref()?)?;
            let mut commands = mending::end_uses(disk);
            commands.push(format!("multipathd add path {}", disk.device));
            let mut seen = vec![uuid_of(map)];
            seen.extend(disk.paths.iter().map(identity_of));
            seen.extend(disk.uses().into_iter().map(|used| evidence(format!("/dev/{}", disk.device), used)));
            Some(Finding {
                kind: FindingKind::PathOutsideMap,
                subject: disk.device.to_string(),
                evidence: seen,
                risk: "The map is one path short when another fails, and writes to the disk itself pass it by.",
                commands,
            })
        })
        .collect()
}
