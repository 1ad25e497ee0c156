//! What udev is doing.

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::DeviceName;

/// systemd-udevd has this file as long as events wait or are worked on; `udevadm settle` waits for its end.
const QUEUE: &str = "/run/udev/queue";

/// Whether udev works on any device of the host.  False where its directory cannot be seen.
pub fn is_at_work(root: &Root) -> bool {
    attribute::exists(&root.path(QUEUE))
}

/// Whether udev takes a disk for a path of multipath's (`60-multipath.rules`); None when it is not done with the disk.
/// `/run/udev/data/bMAJOR:MINOR` has a device's properties, one `E:KEY=VALUE` a line.
pub fn is_path(root: &Root, disk: &DeviceName) -> Option<bool> {
    let number = attribute::text(&root.path(format!("/sys/block/{disk}/dev")))?;
    let properties = attribute::whole(&root.path(format!("/run/udev/data/b{number}")))?;
    Some(properties.lines().any(|line| line == "E:DM_MULTIPATH_DEVICE_PATH=1"))
}
