//! SCSI devices without a disk: a scan brings the device, and the kernel names its disk a moment later
//! (drivers/scsi/sd.c probes asynchronously).  Who takes a volume away in between would not see it.

use std::time::{Duration, Instant};

use log::debug;

use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::act::bounded;
use crate::host::view::{block, scsi};
use crate::host::{Host, attribute, wait};
use crate::identifiers::Hctl;
use crate::log::DEVICES;

const NAMED: Duration = Duration::from_secs(2);
/// The kernel ends its probe before it lets the device go.
const DEVICE_GONE: Duration = Duration::from_secs(35);

/// Waits a moment until the disks of a volume's SCSI devices have names, for whoever removes them by these.  What has
/// none by then is removed as a SCSI device.  `addresses` says where devices of the volume are now.
pub fn settle(host: &Host, addresses: impl Fn() -> Vec<Hctl>) -> Result<()> {
    let nameless = || -> Vec<Hctl> {
        let mut found = addresses();
        found.retain(|address| scsi::is_disk(&host.root, address) && !is_named(host, address));
        found.sort_unstable();
        found.dedup();
        found
    };
    if wait::until_true(Instant::now() + NAMED, || nameless().is_empty()) {
        return Ok(());
    }
    fan_out(&nameless(), |address| remove(host, address)).into_iter().collect()
}

/// The kernel makes the disk's directory first and its entry in `/sys/block` after it.
fn is_named(host: &Host, address: &Hctl) -> bool {
    scsi::disk_at(&host.root, address).is_some_and(|disk| block::exists(&host.root, &disk))
}

fn remove(host: &Host, address: &Hctl) -> Result<()> {
    debug!(target: DEVICES, "removing {address}, which has no disk");
    let place = scsi::place(address);
    let is_gone = || !attribute::named(&host.root.path(&place));
    match bounded::write(host, &place.join("delete"), "1", DEVICE_GONE) {
        // Somebody else was quicker.
        Err(Error::Io { .. }) if is_gone() => {}
        result => result?,
    }
    if wait::until_true(Instant::now() + DEVICE_GONE, is_gone) {
        return Ok(());
    }
    Err(Error::PathsNotRemoved { paths: vec![place.display().to_string()] })
}
