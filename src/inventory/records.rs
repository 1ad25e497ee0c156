//! What attachment records say about the volumes of the host.

use serde::Serialize;

use crate::host::root::Root;
use crate::host::view::attachment_record::{self, Record, State};

use super::Inventory;
use super::volume::{Path, Volume};

/// Whose a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// os-brick attached it.
    Attached,
    /// An attach or a detach did not come to its end.
    HalfDone,
    /// Somebody attaches or detaches it right now.
    UnderWay,
    /// os-brick had it before the host was started anew.
    Stale,
    /// No record names it.
    Unknown,
}

/// One record and what it means now.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub file: String,
    pub record: Record,
    pub standing: Standing,
}

/// The records of a directory.  `is_busy` tells whether somebody works on a record's volume.
pub fn read(root: &Root, directory: &std::path::Path, is_busy: &dyn Fn(&Record) -> bool) -> Vec<Kept> {
    let boot = attachment_record::boot_id(root);
    let all = attachment_record::all(root, directory).into_iter();
    all.map(|(file, record)| Kept { standing: standing(&record, &boot, is_busy), file, record }).collect()
}

fn standing(record: &Record, boot: &str, is_busy: &dyn Fn(&Record) -> bool) -> Standing {
    match record.state {
        _ if record.is_stale(boot) => Standing::Stale,
        State::Attached => Standing::Attached,
        State::Attaching | State::Detaching if is_busy(record) => Standing::UnderWay,
        State::Attaching | State::Detaching => Standing::HalfDone,
    }
}

impl Inventory {
    /// Adds to each volume whose it is.
    pub fn add_records(&mut self, kept: &[Kept]) {
        for volume in &mut self.volumes {
            let found = kept.iter().find(|kept| is_about(&kept.record, volume));
            volume.record = Some(found.map_or(Standing::Unknown, |kept| kept.standing));
        }
    }
}

/// Whether a record is about a volume: the identity decides, without one the address.
pub fn is_about(record: &Record, volume: &Volume) -> bool {
    let recorded = record.made.as_ref().and_then(|made| made.identity.as_deref());
    match (recorded, &volume.identity) {
        (Some(recorded), Some(identity)) => recorded == identity.as_str(),
        _ => volume.paths.iter().any(|path| is_through(record, volume, path)),
    }
}

/// Whether a record's operation goes through a path: the names it is locked by say where the volume is.
fn is_through(record: &Record, volume: &Volume, path: &Path) -> bool {
    let target = path.connection.target.as_deref().unwrap_or_default();
    let lun = path.address.rsplit(':').next().unwrap_or_default();
    match record.protocol.as_str() {
        "iscsi" => record.volume.contains(&format!("{target} {lun}")),
        "fibre_channel" => {
            let port = path.connection.portal.as_deref().unwrap_or_default();
            record.volume.contains(&format!("{port} {lun}"))
        }
        "nvmeof" => record.volume.iter().any(|name| is_namespace(name, target, volume)),
        _ => false,
    }
}

/// `nvme NQN`, or with what the namespace is known by.
fn is_namespace(name: &str, nqn: &str, volume: &Volume) -> bool {
    let Some(rest) = name.strip_prefix("nvme ").and_then(|name| name.strip_prefix(nqn)) else { return false };
    let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    let known_by = rest.rsplit(' ').next().unwrap_or_default();
    let identity = volume.identity.as_ref().map(|identity| digits(identity.as_str())).unwrap_or_default();
    rest.is_empty() || (rest.starts_with(' ') && known_by.len() > 8 && identity.ends_with(&digits(known_by)))
}
