//! `/sys/block/NAME` and `/dev/NAME` (kernel: Documentation/ABI/stable/sysfs-block).

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::DeviceName;

/// `/sys/block/NAME/size` counts sectors of 512 bytes whatever the device's own block size.
const SECTOR: u64 = 512;

/// `/sys/block/NAME/size`, in bytes.
pub fn size(root: &Root, name: &DeviceName) -> Option<u64> {
    let sectors: u64 = attribute::text(&root.path(format!("/sys/block/{name}/size")))?.parse().ok()?;
    Some(sectors * SECTOR)
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

/// The whole disk or map behind a path such as `/dev/disk/by-id/...`, `/dev/mapper/...`, `/dev/sdX1`.
pub fn behind(root: &Root, path: &std::path::Path) -> Option<DeviceName> {
    let real = attribute::canonical(&root.path(path))?;
    DeviceName::from_path(&real)
}

fn device_names(root: &Root, directory: &str) -> Vec<DeviceName> {
    attribute::names(&root.path(directory)).iter().filter_map(|name| name.parse().ok()).collect()
}
