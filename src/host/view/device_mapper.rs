//! `/sys/block/dm-N/dm` (kernel: drivers/md/dm-sysfs.c).

use crate::host::attribute::{self, Directory};
use crate::host::root::Root;
use crate::host::view::block;
use crate::identifiers::{DeviceName, Wwid};

/// What multipathd puts before the identity in a map's uuid.
const MULTIPATH_UUID: &str = "mpath-";

/// A multipath map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// `dm-N`
    pub device: DeviceName,
    /// `/sys/block/dm-N/dm/name`: the identity, or the friendly name.
    pub name: String,
    /// `/sys/block/dm-N/dm/uuid` without `mpath-`.
    pub wwid: Wwid,
}

/// The multipath map a device-mapper device is, if it is one: LVM, LUKS and partitions are not.
pub fn map(root: &Root, device: &DeviceName) -> Option<Map> {
    let wwid = multipath_identity(root, device)?;
    let name = root.path(format!("/sys/block/{device}/dm/name"));
    let name = attribute::text(&name).filter(|name| !name.is_empty())?;
    Some(Map { device: device.clone(), name, wwid })
}

/// `/sys/block/dm-N/dm/uuid` without `mpath-`; None for what is no multipath map.
pub fn multipath_identity(root: &Root, device: &DeviceName) -> Option<Wwid> {
    let uuid = attribute::text(&root.path(format!("/sys/block/{device}/dm/uuid")))?;
    Wwid::from_udev(uuid.strip_prefix(MULTIPATH_UUID)?)
}

/// The multipath map that holds a disk.
pub fn map_over(root: &Root, disk: &DeviceName) -> Option<Map> {
    block::holders(root, disk).iter().filter(|holder| holder.is_device_mapper()).find_map(|holder| map(root, holder))
}

/// The multipath map that holds a disk, by its kernel name alone.
pub fn multipath_over(root: &Root, disk: &DeviceName) -> Option<DeviceName> {
    block::holders(root, disk).into_iter().find(|holder| multipath_identity(root, holder).is_some())
}

/// All multipath maps of the host.
pub fn maps(root: &Root) -> Vec<Map> {
    attribute::names(&root.path("/sys/block"))
        .iter()
        .filter_map(|name| name.parse::<DeviceName>().ok())
        .filter(DeviceName::is_device_mapper)
        .filter_map(|device| map(root, &device))
        .collect()
}

/// Any device-mapper device: multipath, LVM, LUKS, a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub device: DeviceName,
    /// `/sys/block/dm-N/dm/name`
    pub name: String,
    /// `/sys/block/dm-N/dm/uuid`: `mpath-...`, `CRYPT-LUKS2-...`, `LVM-...`, `part1-mpath-...`
    pub uuid: String,
}

/// One device-mapper device, of a directory that has it.
pub fn any(directory: &Directory, device: &DeviceName) -> Option<Device> {
    let text = |attribute: &str| directory.text(&format!("{device}/dm/{attribute}"));
    Some(Device { device: device.clone(), name: text("name")?, uuid: text("uuid").unwrap_or_default() })
}

impl Device {
    /// The identity of a multipath map.
    pub fn multipath_identity(&self) -> Option<Wwid> {
        Wwid::from_udev(self.uuid.strip_prefix(MULTIPATH_UUID)?)
    }
}

/// Whether I/O can enter: not suspended, and of some size.
pub fn is_live(root: &Root, device: &DeviceName) -> bool {
    let suspended = attribute::text(&root.path(format!("/sys/block/{device}/dm/suspended")));
    suspended.as_deref() == Some("0") && block::size(root, device).is_some_and(|size| size > 0)
}
