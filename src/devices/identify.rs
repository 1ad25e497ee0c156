//! The right disk or none.
//!
//! The kernel keeps the identity it read when a disk appeared.  When an array maps another volume to the same LUN,
//! the disk, its links and its map go on under the old name; so a disk that was there before is asked again.

use std::time::{Duration, Instant};

use log::{info, warn};

use crate::error::{Error, Result};
use crate::host::act::bounded;
use crate::host::root::Root;
use crate::host::view::{block, device_mapper, links, scsi};
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, Naming, Wwid, naming};
use crate::log::DEVICES;

/// How long a disk has to answer an INQUIRY; a path that needs longer is no use to an attach.
const ANSWER: Duration = Duration::from_secs(10);
/// How long udev has to publish an identity that only it can form (T10 and vendor designators).
const UDEV: Duration = Duration::from_secs(10);

/// What asking a disk again showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The disk is what host and map take it for.
    Current(Option<Wwid>),
    /// The LUN maps another disk now: `was` is what the host still believes.
    Stale { was: String, now: Option<Wwid> },
}

/// Has the kernel read a disk's identity again and compares it with what the host believed so far: the kernel's own
/// copy, and the map the disk is in.
pub fn ask_again(host: &Host, disk: &DeviceName) -> Result<Verdict> {
    let root = &host.root;
    let before = (scsi::sysfs_wwid(root, disk), scsi::wwid(root, disk));
    bounded::write(host, &scsi::rescan_path(disk), "1", ANSWER)?;
    let now = scsi::wwid(root, disk);
    let after = (scsi::sysfs_wwid(root, disk), now.clone());
    if before != after {
        let was = before.1.map_or_else(|| "no identity".to_owned(), |wwid| wwid.to_string());
        return Ok(Verdict::Stale { was, now });
    }
    let map = device_mapper::map_over(root, disk);
    match (map, &now) {
        // The kernel may have been told by somebody else's rescan already; the map keeps its first identity.
        (Some(map), Some(now)) if map.wwid != *now && !is_another_name(host, disk, &map, now) => {
            Ok(Verdict::Stale { was: map.wwid.to_string(), now: Some(now.clone()) })
        }
        _ => Ok(Verdict::Current(now)),
    }
}

/// Whether multipath was configured to name the map by something else than the designator `now` comes from: then
/// nothing is stale.
fn is_another_name(host: &Host, disk: &DeviceName, map: &device_mapper::Map, now: &Wwid) -> bool {
    match scsi::page(&host.root, disk).map_or(Naming::Silent, |page| naming(&page, &map.wwid)) {
        Naming::Offered => true,
        Naming::Contradicted => false,
        Naming::Silent => agrees_with_other_paths(host, disk, map, now),
    }
}

/// Where the page cannot tell (a serial number, what a rule of udev made up): whether udev says so, and all disks of
/// the map show the same.
fn agrees_with_other_paths(host: &Host, disk: &DeviceName, map: &device_mapper::Map, now: &Wwid) -> bool {
    links::udev_identity(&host.root, disk).is_some_and(|by_udev| by_udev == map.wwid)
        && block::slaves(&host.root, &map.device)
            .iter()
            .filter(|other| *other != disk)
            .all(|other| scsi::wwid(&host.root, other).as_ref() == Some(now))
}

/// The identity of a disk as udev and multipath name it.  Most are known from the VPD page as soon as the kernel has
/// registered the disk, the rest from udev's links; None when there is none.
pub fn identity(host: &Host, disk: &DeviceName) -> Option<Wwid> {
    let root = &host.root;
    wait::until(Instant::now() + UDEV, || Ok(scsi::wwid(root, disk).or_else(|| links::udev_identity(root, disk))))
        .ok()
        .flatten()
}

/// The identity of an attached volume, from files alone and without waiting: its map's, else the kernel's if udev made
/// a link of it, else the one of a link that leads to one of its disks or to what is built on them.
pub fn published_identity(root: &Root, disks: &[DeviceName], map: Option<&DeviceName>) -> Option<Wwid> {
    map.and_then(|map| device_mapper::multipath_identity(root, map)).or_else(|| {
        // An array may offer several designators, of which the kernel shows one and udev links another.
        let of_kernel = disks.iter().find_map(|disk| scsi::sysfs_wwid(root, disk));
        of_kernel.filter(|wwid| links::has_identity(root, wwid)).or_else(|| {
            let above = disks.iter().flat_map(|disk| block::holders(root, disk));
            links::identity_of(root, &disks.iter().cloned().chain(above).collect::<Vec<_>>())
        })
    })
}

/// Compares the identity found with the one the caller named.  Cinder drivers name it in several forms and some
/// wrongly, so a difference is refused only when the operator says so.
pub fn compare_expected(found: Option<&Wwid>, expected: &[String], device: &str, enforce: bool) -> Result<()> {
    for expected in expected.iter().filter(|expected| !found.is_some_and(|wwid| wwid.matches(expected))) {
        let found = found.map_or("no identity", Wwid::as_str);
        let reason = format!("the connection properties name the volume {expected}, the disk says {found}");
        if enforce {
            return Err(Error::WrongIdentity { device: device.to_owned(), reason });
        }
        warn!(target: DEVICES, "{device}: {reason}; used all the same, set [os_brick] enforce_identity to refuse it");
    }
    Ok(())
}

/// Says what was found stale, in the one form operators can search for.
pub fn report_stale(disk: &DeviceName, was: &str, now: Option<&Wwid>) {
    let now = now.map_or("no identity", Wwid::as_str);
    info!(target: DEVICES, "{disk} is a leftover: its LUN mapped {was} and now maps {now}; removing it");
}
