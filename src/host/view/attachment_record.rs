//! Attachment records: one file for each volume that os-brick attached or is attaching, `PROTOCOL-HASH.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::host::attribute;
use crate::host::root::Root;

const ENDING: &str = ".json";

/// How far the last operation on the volume came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written before the host is touched.
    Attaching,
    Attached,
    /// Written before the host is touched; the record goes when the volume has.
    Detaching,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub state: State,
    /// `iscsi`, `fibre_channel`, `nvmeof`
    pub protocol: String,
    /// `/proc/sys/kernel/random/boot_id` when it was written.
    pub boot_id: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Which operation wrote it, so that none writes over a later one's.
    pub operation: String,
    /// The names the volume is locked by.
    pub volume: Vec<String>,
    /// The lock directory of the service.
    pub lock_path: String,
    /// Connection properties, secrets left out.
    pub asked: Map<String, Value>,
    /// None until the volume is attached.
    pub made: Option<Made>,
}

/// What an attach made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What the caller was given; an encrypted volume's link leads there.
    pub path: String,
    pub identity: Option<String>,
    /// `dm-3`
    pub map: Option<String>,
    /// The disks that were there when the attach returned; others may have joined.
    pub disks: Vec<String>,
}

impl Record {
    pub fn is_of(&self, protocol: &str, volume: &[String]) -> bool {
        self.protocol == protocol && self.volume.iter().any(|name| volume.contains(name))
    }

    /// Whether the host has been started anew since.
    pub fn is_stale(&self, boot: &str) -> bool {
        self.boot_id != boot
    }
}

/// What names this start of the host; empty when the kernel does not say.
pub fn boot_id(root: &Root) -> String {
    attribute::text(&root.path("/proc/sys/kernel/random/boot_id")).unwrap_or_default()
}

/// The record in one file of the directory.  None for what is no record, such as one of a later version.
pub fn read(root: &Root, directory: &Path, file: &str) -> Option<Record> {
    let place = root.path(directory.join(file));
    if !attribute::is_regular(&place) {
        return None;
    }
    serde_json::from_str(&attribute::text(&place)?).ok()
}

/// Every record of the directory by its file's name.
pub fn all(root: &Root, directory: &Path) -> Vec<(String, Record)> {
    let names = attribute::names(&root.path(directory)).into_iter();
    let files = names.filter(|name| name.ends_with(ENDING) && !name.starts_with('.'));
    files.filter_map(|name| read(root, directory, &name).map(|record| (name, record))).collect()
}

/// The name of a record's file.
pub fn file_name(protocol: &str, hash: u64) -> String {
    format!("{protocol}-{hash:016x}{ENDING}")
}
