//! The namespaces below a controller, and what they say of themselves (kernel: drivers/nvme/host/sysfs.c, multipath.c).
//!
//! With native multipath each controller has a hidden device `nvme0c3n1`, and the kernel joins these into `nvme0n1`.

use std::path::{Path as FilePath, PathBuf};

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::links;
use crate::identifiers::{DeviceName, Uuid};

/// What a namespace is known by, in the order of trust: a UUID is unique everywhere, an NGUID may be used again by the
/// storage, a number holds only while the namespace is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    Uuid(Uuid),
    Nguid(Uuid),
    Nsid(u32),
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Uuid(uuid) => write!(f, "uuid {uuid}"),
            Identity::Nguid(nguid) => write!(f, "nguid {nguid}"),
            Identity::Nsid(nsid) => write!(f, "namespace {nsid}"),
        }
    }
}

/// A namespace as one controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    directory: PathBuf,
    /// The block device it is used through: `nvme0n1`.
    pub device: DeviceName,
}

impl Path {
    /// From a name below a controller: `nvme0c3n1` or `nvme3n1`; partitions and everything else are None.
    pub fn named(controller: &FilePath, name: &str) -> Option<Path> {
        Some(Path { directory: controller.join(name), device: device_of(name)? })
    }

    /// `nvme0c3n1` below the controller with native multipath, else the device itself.
    pub fn name(&self) -> Option<DeviceName> {
        DeviceName::from_path(&self.directory)
    }

    fn attribute(&self, root: &Root, name: &str) -> Option<String> {
        attribute::text(&root.path(self.directory.join(name))).filter(|text| !text.is_empty())
    }

    /// `uuid`
    pub fn uuid(&self, root: &Root) -> Option<Uuid> {
        self.attribute(root, "uuid")?.parse().ok().filter(|uuid: &Uuid| !uuid.is_nil())
    }

    /// `nguid`
    pub fn nguid(&self, root: &Root) -> Option<Uuid> {
        self.attribute(root, "nguid")?.parse().ok().filter(|nguid: &Uuid| !nguid.is_nil())
    }

    /// `nsid`
    pub fn nsid(&self, root: &Root) -> Option<u32> {
        self.attribute(root, "nsid")?.parse().ok()
    }

    pub fn is(&self, root: &Root, identity: &Identity) -> bool {
        match identity {
            Identity::Uuid(uuid) => self.uuid(root) == Some(*uuid),
            Identity::Nguid(nguid) => self.nguid(root) == Some(*nguid),
            Identity::Nsid(nsid) => self.nsid(root) == Some(*nsid),
        }
    }

    /// `ana_state`; absent without ANA.
    pub fn access(&self, root: &Root) -> Option<String> {
        self.attribute(root, "ana_state")
    }

    pub fn is_accessible(&self, root: &Root) -> bool {
        is_served(self.access(root).as_deref())
    }
}

/// The device udev's link `/dev/disk/by-id/nvme-WWID` leads to.  The kernel makes a WWID of the UUID or, where there is none,
/// of the NGUID (`wwid_show`).  udev may be behind the kernel, so that it has to be seen whether it is the namespace.
pub fn linked(root: &Root, identity: &Identity) -> Option<DeviceName> {
    let wwid = match identity {
        Identity::Uuid(uuid) => format!("uuid.{uuid}"),
        Identity::Nguid(nguid) => format!("eui.{}", nguid.digits()),
        Identity::Nsid(_) => return None,
    };
    links::leads_to(root, &FilePath::new(links::BY_ID).join(format!("nvme-{wwid}")))
}

/// Whether the storage serves a namespace on a path with this `ana_state`.
pub fn is_served(access: Option<&str>) -> bool {
    access.is_none_or(|state| matches!(state, "optimized" | "non-optimized"))
}

/// `nvme0c3n1` and `nvme0n1` are both `nvme0n1`.
pub fn device_of(name: &str) -> Option<DeviceName> {
    let (subsystem, rest) = digits(name.strip_prefix("nvme")?)?;
    let rest = match rest.strip_prefix('c') {
        Some(rest) => digits(rest)?.1,
        None => rest,
    };
    let (namespace, rest) = digits(rest.strip_prefix('n')?)?;
    if rest.is_empty() { format!("nvme{subsystem}n{namespace}").parse().ok() } else { None }
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
