//! `/sys/block/NAME` and `/dev/NAME` (kernel: Documentation/ABI/stable/sysfs-block).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::fan_out;
use crate::host::attribute::{self, Directory};
use crate::host::root::Root;
use crate::identifiers::DeviceName;

/// `/sys/block/NAME/size` counts sectors of 512 bytes whatever the device's own block size.
const SECTOR: u64 = 512;

/// `/sys/block/NAME/size`, in bytes.
pub fn size(root: &Root, name: &DeviceName) -> Option<u64> {
    bytes_of(&attribute::text(&root.path(format!("/sys/block/{name}/size")))?)
}

/// `/sys/block/NAME/ro`
pub fn is_read_only(root: &Root, name: &DeviceName) -> bool {
    attribute::text(&root.path(format!("/sys/block/{name}/ro"))).as_deref() == Some("1")
}

/// `/sys/block/NAME/holders`: what is built on the device.
pub fn holders(root: &Root, name: &DeviceName) -> Vec<DeviceName> {
    device_names(root, &format!("/sys/block/{name}/holders"))
}

/// `/sys/block/NAME/slaves`: what the device is built on.
pub fn slaves(root: &Root, name: &DeviceName) -> Vec<DeviceName> {
    device_names(root, &format!("/sys/block/{name}/slaves"))
}

/// `/sys/block/NAME`
pub fn exists(root: &Root, name: &DeviceName) -> bool {
    attribute::named(&root.path(format!("/sys/block/{name}")))
}

/// `/dev/NAME`
pub fn has_node(root: &Root, name: &DeviceName) -> bool {
    attribute::named(&root.path(name.dev_path()))
}

/// `/sys/block/NAME/uevent` and those of its partitions: writing `change` has udev look at each again.
pub fn event_paths(root: &Root, name: &DeviceName) -> Vec<PathBuf> {
    let directory = PathBuf::from(format!("/sys/block/{name}"));
    let is_partition = |part: &String| {
        part.starts_with(name.as_str()) && attribute::named(&root.path(directory.join(part).join("partition")))
    };
    let partitions = attribute::names(&root.path(&directory)).into_iter().filter(is_partition);
    let all = std::iter::once(directory.clone()).chain(partitions.map(|part| directory.join(part)));
    all.map(|device| device.join("uevent")).collect()
}

/// The whole disk or map behind a path such as `/dev/disk/by-id/...`, `/dev/mapper/...`, `/dev/sdX1`.
pub fn behind(root: &Root, path: &Path) -> Option<DeviceName> {
    let real = attribute::canonical(&root.path(path))?;
    DeviceName::from_path(&real)
}

/// Every name in `/sys/block` with where it leads: `../devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda`.
pub fn all(root: &Root) -> Vec<(DeviceName, PathBuf)> {
    let directory = root.path("/sys/block");
    let names: Vec<DeviceName> = attribute::unsorted_names(&directory).filter_map(|name| name.parse().ok()).collect();
    let Some(directory) = Directory::open(&directory) else { return Vec::new() };
    let links = fan_out::spread(&names, |name| directory.link(name.as_str()));
    names.into_iter().zip(links).filter_map(|(name, leads_to)| Some((name, leads_to?))).collect()
}

/// The directory a device is in by where its entry in `/sys/block` leads, which saves the kernel following it.
pub fn directory(root: &Root, leads_to: &Path) -> PathBuf {
    let entry = if leads_to.is_relative() { leads_to } else { Path::new("") };
    root.path("/sys/block").join(entry.parent().unwrap_or(entry))
}

/// An attribute `size`, in bytes.
pub fn bytes_of(size: &str) -> Option<u64> {
    let sectors: u64 = size.parse().ok()?;
    Some(sectors * SECTOR)
}

/// `/sys/dev/block/MAJOR:MINOR`
pub fn with_number(root: &Root, number: &str) -> Option<DeviceName> {
    DeviceName::from_path(&attribute::link(&root.path(format!("/sys/dev/block/{number}")))?)
}

/// What the entries of `slaves/` lead to, as whole disks, with whether they are still there: the link to a disk that was
/// taken away stays while the device above is open.
pub fn foundations(root: &Root, name: &DeviceName) -> Vec<(DeviceName, bool)> {
    let all = Directory::open(&root.path("/sys/block"));
    all.map(|all| foundations_among(&all, name, &HashSet::new())).unwrap_or_default()
}

/// The same of a device in `directory` where all devices, `known`, were listed a moment ago.  The link to one of them is not
/// looked at: a disk that went keeps its name for itself while something is above it (`free_disk` in drivers/scsi/sd.c).
pub fn foundations_among(
    directory: &Directory,
    name: &DeviceName,
    known: &HashSet<&DeviceName>,
) -> Vec<(DeviceName, bool)> {
    let slaves = format!("{name}/slaves");
    let foundation = |entry: &String| {
        let named = entry.parse().ok();
        if let Some(device) = named.as_ref().filter(|device| known.contains(device)) {
            return Some((device.clone(), true));
        }
        let place = format!("{slaves}/{entry}");
        let whole = directory.link(&place).as_deref().and_then(whole_disk).or(named)?;
        Some((whole, directory.exists(&place)))
    };
    directory.names(&slaves).iter().filter_map(foundation).collect()
}

/// The disk of a partition `.../block/sda/sda1`, or the device itself.
fn whole_disk(leads_to: &Path) -> Option<DeviceName> {
    let device = DeviceName::from_path(leads_to)?;
    let above = leads_to.parent().and_then(DeviceName::from_path);
    let is_partition_of = |disk: &DeviceName| {
        let number = device.as_str().strip_prefix(disk.as_str()).map(|rest| rest.strip_prefix('p').unwrap_or(rest));
        number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Some(above.filter(is_partition_of).unwrap_or(device))
}

/// The whole disk of a device or partition.
pub fn disk_of(root: &Root, device: &DeviceName) -> DeviceName {
    let link = attribute::link(&root.path(format!("/sys/class/block/{device}")));
    link.as_deref().and_then(whole_disk).unwrap_or_else(|| device.clone())
}

fn device_names(root: &Root, directory: &str) -> Vec<DeviceName> {
    attribute::names(&root.path(directory)).iter().filter_map(|name| name.parse().ok()).collect()
}
