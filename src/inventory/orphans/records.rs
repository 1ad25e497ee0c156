//! Attachment records that tell of work nobody finished, or of volumes that are not here.

use std::path::Path;

use crate::host::view::attachment_record::State;
use crate::inventory::records::{Kept, Standing, is_about};
use crate::inventory::{Inventory, Volume};

use super::{Evidence, Finding, FindingKind, evidence, mending};

/// What the records of a directory tell; `inventory` is the same host's.
pub fn findings(directory: &Path, kept: &[Kept], inventory: &Inventory) -> Vec<Finding> {
    kept.iter().filter_map(|kept| finding(directory, kept, inventory)).collect()
}

fn finding(directory: &Path, kept: &Kept, inventory: &Inventory) -> Option<Finding> {
    let volumes: Vec<&Volume> = inventory.volumes.iter().filter(|volume| is_about(&kept.record, volume)).collect();
    let (kind, risk) = match kept.standing {
        Standing::HalfDone => (
            FindingKind::HalfDone,
            "Whoever asked for the volume did not get it, or has not given it back, and what is there of it serves nobody.",
        ),
        Standing::Attached if volumes.is_empty() => (
            FindingKind::RecordWithoutVolume,
            "Somebody else took the volume away, and whoever attached it does not know.",
        ),
        Standing::Stale if volumes.is_empty() => {
            (FindingKind::StaleRecord, "None: the volume went with the host's last start; its record tells who had it.")
        }
        _ => return None,
    };
    let file = directory.join(&kept.file).display().to_string();
    let mut commands: Vec<String> = volumes.iter().flat_map(|volume| mending::remove(volume)).collect();
    commands.push(format!("rm {}", mending::word(&file)));
    Some(Finding { kind, subject: file.clone(), evidence: seen(&file, kept, &volumes), risk, commands })
}

fn seen(file: &str, kept: &Kept, volumes: &[&Volume]) -> Vec<Evidence> {
    let record = &kept.record;
    let state = match record.state {
        State::Attaching => "attaching",
        State::Attached => "attached",
        State::Detaching => "detaching",
    };
    let when = if kept.standing == Standing::Stale {
        "before the last start of the host"
    } else {
        "since the last start of the host"
    };
    let mut seen = vec![evidence(file, format!("{state} {}, {when}", record.protocol))];
    seen.extend(record.volume.iter().map(|name| evidence("volume", name)));
    seen.extend(record.asked.get("volume_id").and_then(|id| id.as_str()).map(|id| evidence("volume_id", id)));
    if let Some(made) = &record.made {
        seen.push(evidence("was", &made.path));
    }
    if volumes.is_empty() {
        seen.push(evidence("/sys/block", "no device of it"));
    }
    for volume in volumes {
        let device = format!("/dev/{}", volume.device);
        seen.push(evidence(&device, format!("is there with {} path(s)", volume.paths.len())));
        seen.extend(volume.uses().into_iter().map(|used| evidence(&device, used)));
    }
    seen
}
