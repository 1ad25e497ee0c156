//! `/sys/block/mdN/md`: arrays of the md driver (kernel: drivers/md/md.c).

use std::path::Path;

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::block;
use crate::identifiers::DeviceName;

/// Where mdadm keeps the names of arrays.
pub const NAMES: &str = "/dev/md";

/// The array a device is a leg of.
pub fn array_over(root: &Root, leg: &DeviceName) -> Option<DeviceName> {
    block::holders(root, leg).into_iter().find(|holder| is_array(root, holder))
}

/// `/sys/block/mdN/md`
pub fn is_array(root: &Root, device: &DeviceName) -> bool {
    attribute::is_dir(&root.path(format!("/sys/block/{device}/md")))
}

/// `md/array_state`: whether it takes I/O; one that lacks legs when udev finds it stays `inactive`.
pub fn is_active(root: &Root, array: &DeviceName) -> bool {
    let state = attribute::text(&root.path(format!("/sys/block/{array}/md/array_state")));
    state.is_some_and(|state| !matches!(state.as_str(), "clear" | "inactive" | "suspended" | "broken"))
}

/// The device a name such as `/dev/md/alias` leads to, if it is an array.
pub fn named(root: &Root, path: &Path) -> Option<DeviceName> {
    block::behind(root, path).filter(|device| is_array(root, device))
}
