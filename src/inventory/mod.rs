//! Everything that is attached to the host, whatever the protocol, and what of it is nobody's any more.  Only reads.
//!
//! A transport adds what its paths run over: see `scsi.rs` and `nvme.rs`.

pub mod consumers;
pub mod live;
pub mod nvme;
pub mod orphans;
pub mod records;
pub mod scsi;
pub mod volume;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::host::root::Root;
use crate::identifiers::DeviceName;

pub use live::Answers;
pub use orphans::{Evidence, Finding, FindingKind, find_orphans};
pub use volume::{Connection, Consumer, Kind, Path, Volume};

use consumers::Stack;

/// The host as it was at one moment; devices that vanished while it was read are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub volumes: Vec<Volume>,
    pub sessions: Vec<Session>,
    pub controllers: Vec<Controller>,
}

/// A session of the iSCSI initiator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    pub sid: u32,
    pub target: String,
    pub portal: Option<String>,
    /// `LOGGED_IN`, `FAILED` or `FREE`
    pub state: Option<String>,
    pub disks: Vec<DeviceName>,
}

/// An NVMe controller of a fabric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    pub name: String,
    pub subsystem: Option<String>,
    pub transport: String,
    pub portal: String,
    pub state: String,
    pub discovery: bool,
    pub namespaces: Vec<DeviceName>,
}

impl Inventory {
    /// Reads the machine below `root`: sysfs, links and mounts.  Nothing is asked of a disk, so nothing can hang.
    pub fn read(root: &Root) -> Inventory {
        let stack = Stack::read(root);
        let nvme = nvme::read(root);
        let scsi = scsi::read(root, &stack);
        let mut volumes = scsi.volumes;
        volumes.extend(nvme.volumes);
        for volume in &mut volumes {
            stack.complete(volume);
        }
        volumes.sort_by(|one, other| one.kind.cmp(&other.kind).then_with(|| by_number(&one.device, &other.device)));
        Inventory { volumes, sessions: scsi.sessions, controllers: nvme.controllers }
    }

    /// Adds how often device-mapper devices are open, as `dmsetup` tells root.
    pub fn add_open_counts(&mut self, counts: &BTreeMap<DeviceName, u32>) {
        fn to_consumers(consumers: &mut [Consumer], counts: &BTreeMap<DeviceName, u32>) {
            for consumer in consumers {
                consumer.open_count = counts.get(&consumer.device).copied();
                to_consumers(&mut consumer.consumers, counts);
            }
        }
        for volume in &mut self.volumes {
            volume.open_count = counts.get(&volume.device).copied();
            to_consumers(&mut volume.consumers, counts);
        }
    }

    /// Every path of every volume, with its volume.
    pub fn paths(&self) -> impl Iterator<Item = (&Volume, &Path)> {
        self.volumes.iter().flat_map(|volume| volume.paths.iter().map(move |path| (volume, path)))
    }
}

/// Orders `sdb` before `sdaa` and `dm-2` before `dm-10`.
fn by_number(one: &DeviceName, other: &DeviceName) -> Ordering {
    one.as_str().len().cmp(&other.as_str().len()).then_with(|| one.cmp(other))
}
