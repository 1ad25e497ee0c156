//! One volume: its identity, the device it is used through, the paths to it, and who uses it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::identifiers::{DeviceName, Wwid};

use super::records::Standing;

/// What kind of device a volume is used through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Multipath,
    Disk,
    Namespace,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// `dm-3`, `sda`, `nvme0n1`
    pub device: DeviceName,
    pub kind: Kind,
    /// The name of a map.
    pub name: Option<String>,
    /// As udev and multipath write it; `uuid.` or `eui.` and more for a namespace.
    pub identity: Option<Wwid>,
    /// In bytes.
    pub size: Option<u64>,
    pub paths: Vec<Path>,
    pub mounts: Vec<String>,
    pub consumers: Vec<Consumer>,
    /// The links under which it was handed out as an encrypted volume.
    pub links: Vec<PathBuf>,
    /// How often the device is open; None when that was not asked or cannot be known.
    pub open_count: Option<u32>,
    /// Whose it is; None when no attachment records were read.
    pub record: Option<Standing>,
}

/// One way to a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Path {
    /// `sda`, `nvme0c1n1`
    pub device: DeviceName,
    /// `2:0:0:1`, or the controller of a namespace.
    pub address: String,
    /// `running`, `blocked`, `offline` ... of a disk, `optimized` ... of a namespace with ANA
    pub state: Option<String>,
    /// What the kernel took for the identity when the disk appeared.
    pub identity: Option<Wwid>,
    pub size: Option<u64>,
    /// Shared by all that runs over it.
    #[serde(serialize_with = "itself")]
    pub connection: Arc<Connection>,
    /// Whether device and connection are up.
    pub usable: bool,
}

/// What a path runs over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// `iscsi`, `fibre_channel`, `nvme-tcp` ..., or the driver of the host for a disk that is in the machine
    pub transport: String,
    /// The IQN, the WWNN, the NQN.
    pub target: Option<String>,
    /// `10.0.0.1:3260`, the WWPN, `10.0.0.1:4420`
    pub portal: Option<String>,
    /// `session3`, `rport-2:0-1`, `nvme3`
    pub name: Option<String>,
    pub state: Option<String>,
}

/// What is built on a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// `luks`, `lvm`, `partition`, `raid`, `device_mapper`
    pub kind: &'static str,
    pub device: DeviceName,
    pub name: Option<String>,
    pub mounts: Vec<String>,
    pub open_count: Option<u32>,
    pub consumers: Vec<Consumer>,
}

fn itself<S: Serializer>(connection: &Arc<Connection>, serializer: S) -> Result<S::Ok, S::Error> {
    connection.serialize(serializer)
}

impl Volume {
    /// Whether I/O has a way to the storage.
    pub fn is_usable(&self) -> bool {
        self.paths.iter().any(|path| path.usable)
    }

    /// What would break if the volume went: mounts, and devices built on it.
    pub fn uses(&self) -> Vec<String> {
        let mut uses: Vec<String> = self.mounts.iter().map(|point| format!("mounted on {point}")).collect();
        uses.extend(self.consumers.iter().map(Consumer::describe));
        if uses.is_empty() {
            uses.extend(self.open_count.filter(|count| *count > 0).map(|count| format!("opened {count} times")));
        }
        uses
    }
}

impl Consumer {
    fn describe(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        format!("{}{name} ({})", self.kind, self.device)
    }
}
