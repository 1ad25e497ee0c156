//! What udev is doing.

use crate::host::attribute;
use crate::host::root::Root;

/// systemd-udevd has this file as long as events wait or are worked on; `udevadm settle` waits for its end.
const QUEUE: &str = "/run/udev/queue";

/// Whether udev works on any device of the host.  False where its directory cannot be seen.
pub fn is_at_work(root: &Root) -> bool {
    attribute::exists(&root.path(QUEUE))
}
