//! What stands on what: device-mapper, RAID and partitions above disks, and what is mounted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path as FilePath, PathBuf};

use crate::fan_out;
use crate::host::attribute::{Directory, Nearby};
use crate::host::root::Root;
use crate::host::view::device_mapper::{self, Device};
use crate::host::view::{block, links, mounts};
use crate::identifiers::DeviceName;

use super::volume::{Consumer, Kind, Volume};

/// Real stacks have four floors (partition, LUKS, LVM, mount); more is a tree that leads back into itself.
const FLOORS: u32 = 16;

/// Devices without a disk of their own, that nothing here is built of.
const PSEUDO: [&str; 5] = ["loop", "ram", "zram", "nbd", "fd"];

/// A device-mapper or RAID device and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    pub device: DeviceName,
    /// None for RAID.
    pub mapped: Option<Device>,
    /// Of a multipath map, in bytes.
    pub size: Option<u64>,
    /// Whole disks or other floors, with whether they are still there.
    pub below: Vec<(DeviceName, bool)>,
}

/// All floors of the host.
pub struct Stack {
    /// Every name in `/sys/block` and where it leads.
    pub devices: Vec<(DeviceName, PathBuf)>,
    pub floors: BTreeMap<DeviceName, Floor>,
    above: HashMap<DeviceName, Vec<DeviceName>>,
    /// By device or partition.
    mounts: HashMap<DeviceName, Vec<String>>,
    /// Partitions that are mounted, by their disk.
    partitions: HashMap<DeviceName, Vec<DeviceName>>,
    links: HashMap<DeviceName, Vec<PathBuf>>,
}

impl Stack {
    pub fn read(root: &Root) -> Stack {
        let devices = block::all(root);
        let virtuals: Vec<&(DeviceName, PathBuf)> =
            devices.iter().filter(|(name, leads_to)| is_floor(name, leads_to)).collect();
        let known: HashSet<&DeviceName> = devices.iter().map(|(name, _)| name).collect();
        let found = fan_out::spread_keeping(&virtuals, |nearby: &mut Nearby, (device, leads_to)| {
            Some(floor(device, &known, nearby.open(&block::directory(root, leads_to))?))
        });
        let floors: BTreeMap<DeviceName, Floor> =
            found.into_iter().flatten().map(|floor| (floor.device.clone(), floor)).collect();
        let mut above: HashMap<DeviceName, Vec<DeviceName>> = HashMap::new();
        for floor in floors.values() {
            for (below, _) in &floor.below {
                let holders = above.entry(below.clone()).or_default();
                if !holders.contains(&floor.device) {
                    holders.push(floor.device.clone());
                }
            }
        }
        let mut stack =
            Stack { devices, floors, above, mounts: HashMap::new(), partitions: HashMap::new(), links: HashMap::new() };
        stack.read_uses(root);
        stack
    }

    fn read_uses(&mut self, root: &Root) {
        for mount in mounts::all(root) {
            let disk = block::disk_of(root, &mount.device);
            if disk != mount.device {
                let partitions = self.partitions.entry(disk).or_default();
                if !partitions.contains(&mount.device) {
                    partitions.push(mount.device.clone());
                }
            }
            let points = self.mounts.entry(mount.device).or_default();
            if !points.contains(&mount.point) {
                points.push(mount.point);
            }
        }
        for (link, held) in links::encrypted(root) {
            if let Some(device) = named_by(root, &held) {
                self.links.entry(device).or_default().push(link);
            }
        }
    }

    /// Adds to a volume who uses it.
    pub fn complete(&self, volume: &mut Volume) {
        volume.mounts = self.mounts.get(&volume.device).cloned().unwrap_or_default();
        volume.consumers = self.consumers(&volume.device, None, FLOORS);
        // A link may have been made for one of the paths before there was a map.
        let paths = volume.paths.iter().map(|path| &path.device).filter(|path| **path != volume.device);
        volume.links = std::iter::once(&volume.device)
            .chain(paths)
            .flat_map(|device| self.links.get(device).into_iter().flatten().cloned())
            .collect();
        if volume.kind == Kind::Multipath {
            for path in &volume.paths {
                // Somebody uses the disk beside its map.
                volume.consumers.extend(self.consumers(&path.device, Some(&volume.device), FLOORS));
            }
        }
    }

    /// What stands on a device, `but` left out.
    fn consumers(&self, device: &DeviceName, but: Option<&DeviceName>, floors: u32) -> Vec<Consumer> {
        if floors == 0 {
            return Vec::new();
        }
        let points = |device: &DeviceName| self.mounts.get(device).cloned().unwrap_or_default();
        let partitions = self.partitions.get(device).into_iter().flatten();
        let partitions = partitions.filter(|partition| Some(*partition) != but).map(|partition| Consumer {
            kind: "partition",
            device: partition.clone(),
            name: None,
            mounts: points(partition),
            open_count: None,
            consumers: Vec::new(),
        });
        let floors_above = self.above.get(device).into_iter().flatten();
        let floors_above = floors_above.filter(|above| Some(*above) != but).map(|above| {
            let mapped = self.floors.get(above).and_then(|floor| floor.mapped.as_ref());
            Consumer {
                kind: kind_of(mapped),
                device: above.clone(),
                name: mapped.map(|mapped| mapped.name.clone()),
                mounts: points(above),
                open_count: None,
                consumers: self.consumers(above, None, floors - 1),
            }
        });
        partitions.chain(floors_above).collect()
    }
}

fn is_floor(name: &DeviceName, leads_to: &FilePath) -> bool {
    let above = leads_to.to_str().and_then(|place| place.rsplit_once('/')).map(|(above, _)| above);
    above.is_some_and(|above| above.ends_with("/virtual/block"))
        && !PSEUDO.iter().any(|pseudo| name.as_str().starts_with(pseudo))
}

/// One floor, which is in `directory`.
fn floor(device: &DeviceName, known: &HashSet<&DeviceName>, directory: &Directory) -> Floor {
    let mapped = if device.is_device_mapper() { device_mapper::any(directory, device) } else { None };
    let is_map = mapped.as_ref().is_some_and(|mapped| mapped.multipath_identity().is_some());
    let size = if is_map { directory.text(&format!("{device}/size")) } else { None };
    Floor {
        device: device.clone(),
        mapped,
        size: size.as_deref().and_then(block::bytes_of),
        below: block::foundations_among(directory, device, known),
    }
}

/// By the prefix each program gives the uuids of its devices.
fn kind_of(mapped: Option<&Device>) -> &'static str {
    match mapped.map(|mapped| mapped.uuid.as_str()) {
        None => "raid",
        Some(uuid) if uuid.starts_with("CRYPT-") => "luks",
        Some(uuid) if uuid.starts_with("LVM-") => "lvm",
        Some(uuid) if uuid.starts_with("part") => "partition",
        Some(uuid) if uuid.starts_with("mpath-") => "multipath",
        Some(_) => "device_mapper",
    }
}

/// The device in the name of a link: `/dev/dm-0` also when it is gone.
fn named_by(root: &Root, held: &FilePath) -> Option<DeviceName> {
    if held.parent() == Some(FilePath::new("/dev")) { DeviceName::from_path(held) } else { block::behind(root, held) }
}
