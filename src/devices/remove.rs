//! How the disks of one volume leave the host: map, disks, links, what multipathd remembers.
//!
//! Without `force` nothing is taken away that something still uses or whose data did not reach the disk.  With it
//! every step is tried and the errors are collected.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::devices::multipath;
use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::act::{block_ioctl, bounded, files};
use crate::host::attribute;
use crate::host::programs::{blockdev, multipath as multipath_program, multipathd};
use crate::host::view::device_mapper::{self, Map};
use crate::host::view::{block, links, scsi};
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, Hctl, Wwid};
use crate::log::DEVICES;

/// A map stays "in use" for a moment while udev looks at it; longer means that somebody really has it open.
const MAP_IN_USE: Duration = Duration::from_secs(30);
const MAP_IN_USE_FORCED: Duration = Duration::from_secs(8);
/// Dirty pages over a bad network take their time (upstream waits as long).
const FLUSH: Duration = Duration::from_secs(300);
const FLUSH_FORCED: Duration = Duration::from_secs(10);
/// The kernel may need half a minute to let go of a disk whose path just failed.
const DISK_GONE: Duration = Duration::from_secs(35);
const MULTIPATHD_FORGETS: Duration = Duration::from_secs(7);

/// What the caller did its I/O on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// It does not say, so it may have been any of the disks.
    Unknown,
    /// Nobody was given the disks; a map that has other paths is another's, or has been handed out, and stays.
    Nothing,
    /// The device it was given.
    Device(PathBuf),
}

/// What is to leave, and how.
pub struct Removal<'a> {
    pub disks: &'a [DeviceName],
    pub used: Used,
    pub force: bool,
}

/// Errors of a forced removal; without force the first is returned at once.
#[derive(Default)]
pub struct Collected {
    pub force: bool,
    pub errors: Vec<Error>,
}

impl Collected {
    pub fn new(force: bool) -> Collected {
        Collected { force, errors: Vec::new() }
    }

    /// Passes an error on, or keeps it and goes on when forced.
    pub fn check<T>(&mut self, step: Result<T>) -> Result<Option<T>> {
        match step {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.force => {
                warn!(target: DEVICES, "{}; going on because of force", error.describe());
                self.errors.push(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Disks and a map the kernel no longer has, but udev and multipathd may still know.
pub struct Gone<'a> {
    disks: &'a [DeviceName],
    map: Option<Map>,
    /// The map would not go while its paths were there (only with `force`).
    map_left: bool,
    /// What the disks carried, as multipath knows it.
    identity: Option<Wwid>,
}

impl Gone<'_> {
    /// The disks and the map over them.
    fn devices(&self) -> Vec<DeviceName> {
        self.disks.iter().chain(self.map.as_ref().map(|map| &map.device)).cloned().collect()
    }

    /// Whether the rest of the map can only go after the sessions.
    pub fn needs_sessions_gone(&self) -> bool {
        self.map_left
    }
}

/// Removes the disks and the map over them, from everywhere.
pub fn remove(host: &Host, removal: &Removal<'_>, collected: &mut Collected) -> Result<()> {
    let gone = take_away(host, removal, collected)?;
    settle(host, &gone);
    collected.check(finish(host, &gone)).map(drop)
}

/// Takes map and disks out of the kernel.  After it a session without other disks can be ended.
pub fn take_away<'a>(host: &Host, removal: &Removal<'a>, collected: &mut Collected) -> Result<Gone<'a>> {
    let map = multipath::find_map(host, removal.disks);
    if let (Used::Nothing, Some(map)) = (&removal.used, &map)
        && has_other_paths(host, map, removal.disks)
    {
        // The volume of the map stays: it loses these paths, as when their portals die.
        debug!(target: DEVICES, "{} stays, without {:?}", map.name, removal.disks);
        delete_disks(host, removal.disks, collected)?;
        return Ok(Gone { disks: removal.disks, map: None, map_left: false, identity: None });
    }
    let of_disk = || removal.disks.first().and_then(|disk| scsi::wwid(&host.root, disk));
    let identity = map.as_ref().map(|map| map.wwid.clone()).or_else(of_disk);
    let map_left = match &map {
        Some(map) => remove_map(host, map, collected)?,
        None => {
            flush_used(host, removal, collected)?;
            false
        }
    };
    delete_disks(host, removal.disks, collected)?;
    Ok(Gone { disks: removal.disks, map, map_left, identity })
}

/// Whether a map has paths besides these that are still there.
fn has_other_paths(host: &Host, map: &Map, disks: &[DeviceName]) -> bool {
    let paths = block::foundations(&host.root, &map.device);
    paths.iter().any(|(path, is_there)| *is_there && !disks.contains(path))
}

/// Waits until udev and multipathd have noticed, and clears what they leave.
pub fn settle(host: &Host, gone: &Gone<'_>) {
    if gone.disks.is_empty() {
        return;
    }
    remove_links(host, gone);
    if let Err(error) = multipath::wait_until_forgotten(host, gone.disks, MULTIPATHD_FORGETS) {
        debug!(target: DEVICES, "multipathd: {}", error.describe());
    }
}

fn forget_identity(host: &Host, identity: &Wwid) {
    if let Err(error) = multipath_program::remove_wwid(host, identity) {
        debug!(target: DEVICES, "{identity} is still in multipath's wwids file: {}", error.describe());
    }
}

/// The last of the map, when its paths and, if they were this volume's alone, its sessions are gone: I/O that was
/// stuck in them has failed by now, and whoever had the map open let go.
pub fn finish(host: &Host, gone: &Gone<'_>) -> Result<()> {
    if let (Some(map), true) = (&gone.map, gone.map_left) {
        disable_queueing(host, map);
        try_remove_map(host, map, MAP_IN_USE_FORCED)?;
    }
    // Once more: udev may have been at work on an older event of the disks.
    remove_links(host, gone);
    // Now that multipathd has no path any more, nobody writes the identity down again.  A map may have formed, or been
    // about to, after the last look.
    if let Some(identity) = &gone.identity
        && (gone.map.is_some() || is_remembered(host, identity))
    {
        forget_identity(host, identity);
    }
    Ok(())
}

/// Whether the identity is in the file of multipath's known identities, one `/WWID/` a line.
fn is_remembered(host: &Host, identity: &Wwid) -> bool {
    let known = attribute::whole(&host.root.path("/etc/multipath/wwids")).unwrap_or_default();
    known.lines().any(|line| line.trim().trim_matches('/') == identity.as_str())
}

/// What is built on a device besides the map's own partitions, which multipath removes with it.
fn users(host: &Host, device: &DeviceName) -> Vec<DeviceName> {
    block::holders(&host.root, device)
        .into_iter()
        .filter(|holder| {
            let uuid = attribute::text(&host.root.path(format!("/sys/block/{holder}/dm/uuid")));
            !uuid.is_some_and(|uuid| uuid.starts_with("part") && uuid.contains("-mpath-"))
        })
        .collect()
}

/// Fails when something is built on a device.
pub fn refuse_if_used(host: &Host, device: &DeviceName, name: &str) -> Result<()> {
    let users = users(host, device);
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = users
        .iter()
        .map(|user| {
            let name = attribute::text(&host.root.path(format!("/sys/block/{user}/dm/name")));
            name.map_or_else(|| user.to_string(), |name| format!("{user} ({name})"))
        })
        .collect();
    Err(Error::InUse { device: name.to_owned(), reason: format!("{} is built on it", names.join(", ")) })
}

/// Takes a map away that has no path left and that nobody has open: the kernel refuses when somebody has.
pub fn remove_unused_map(host: &Host, map: &Map) -> Result<()> {
    try_remove_map(host, map, MAP_IN_USE_FORCED)?;
    let identity = Some(map.wwid.clone());
    finish(host, &Gone { disks: &[], map: Some(map.clone()), map_left: false, identity })
}

/// Takes the map away; true when it is still there and the caller goes on.  A map nobody has open has no dirty pages:
/// the kernel wrote them at the last close.  A map somebody has open is not removed, so nothing is lost.
fn remove_map(host: &Host, map: &Map, collected: &mut Collected) -> Result<bool> {
    if collected.check(refuse_if_used(host, &map.device, &map.name))?.is_none() {
        disable_queueing(host, map);
        return Ok(true);
    }
    let patience = if collected.force { MAP_IN_USE_FORCED } else { MAP_IN_USE };
    if collected.force && !has_usable_path(host, map) {
        disable_queueing(host, map);
    }
    match try_remove_map(host, map, patience) {
        Ok(()) => Ok(false),
        Err(error) => {
            if collected.force {
                disable_queueing(host, map);
            }
            collected.check(Err::<(), _>(error))?;
            Ok(true)
        }
    }
}

fn has_usable_path(host: &Host, map: &Map) -> bool {
    multipath::is_usable(host, map).unwrap_or(false)
}

/// I/O that waits for a path fails from here on, and lets its owner close the map.
fn disable_queueing(host: &Host, map: &Map) {
    if let Err(error) = multipathd::disable_queueing(host, &map.name) {
        debug!(target: DEVICES, "queueing of {} was not disabled: {}", map.name, error.describe());
    }
}

fn is_gone(host: &Host, map: &Map) -> bool {
    device_mapper::map(&host.root, &map.device).is_none_or(|now| now.wwid != map.wwid)
}

fn try_remove_map(host: &Host, map: &Map, patience: Duration) -> Result<()> {
    let mut failure = None;
    let done = wait::until(Instant::now() + patience, || {
        if is_gone(host, map) {
            return Ok(Some(()));
        }
        match flush_map(host, map, patience) {
            Ok(()) => {}
            Err(error) => failure = Some(error),
        }
        Ok(is_gone(host, map).then_some(()))
    })?;
    match (done, failure) {
        (Some(()), _) => Ok(()),
        (None, Some(error)) => Err(Error::InUse {
            device: map.name.clone(),
            reason: format!("the map cannot be flushed: {}", error.describe()),
        }),
        (None, None) => Err(Error::Timeout { what: format!("the removal of {}", map.name), after: patience }),
    }
}

/// `multipathd del map` is what `multipath -f` asks for as well; without a daemon `multipath -f` does it itself.
fn flush_map(host: &Host, map: &Map, patience: Duration) -> Result<()> {
    if !host.runner.is_direct() {
        return multipath_program::flush(host, &map.name, patience.max(Duration::from_secs(30)));
    }
    match multipathd::remove_map(host, &map.name) {
        Ok(()) => Ok(()),
        Err(refused) if multipathd::is_running(host).is_ok() => Err(refused),
        Err(_) => multipath_program::flush(host, &map.name, patience.max(Duration::from_secs(30))),
    }
}

/// Flushes the disk the caller used when there is no map: by its own name, or, when the caller used something built
/// on it (an encrypted volume), every disk.
fn flush_used(host: &Host, removal: &Removal<'_>, collected: &mut Collected) -> Result<()> {
    for disk in removal.disks {
        let refused = refuse_if_used(host, disk, disk.as_str());
        if collected.check(refused)?.is_none() {
            continue;
        }
        if needs_flush(host, disk, &removal.used) {
            collected.check(flush(host, disk, collected.force))?;
        }
    }
    Ok(())
}

/// Only a disk that was written to directly has pages to flush.
fn needs_flush(host: &Host, disk: &DeviceName, used: &Used) -> bool {
    match used {
        Used::Unknown => true,
        Used::Nothing => false,
        Used::Device(path) => match block::behind(&host.root, path) {
            // An encrypted volume's own link leads to the mapping that was on top of the disk.
            Some(name) => name == *disk || name.is_device_mapper(),
            // The name it was used under is gone; the disk is not.
            None => true,
        },
    }
}

/// Writes out what is dirty on a device; one that is gone has nothing.
pub fn flush(host: &Host, disk: &DeviceName, force: bool) -> Result<()> {
    let timeout = if force { FLUSH_FORCED } else { FLUSH };
    let device = disk.dev_path();
    if !attribute::named(&host.root.path(&device)) {
        return Ok(());
    }
    if !host.runner.is_direct() {
        return blockdev::flush(host, &device, timeout);
    }
    let root = host.root.clone();
    bounded::within(&format!("flushing {}", device.display()), timeout, move || {
        block_ioctl::flush_buffers(&root, &device)
    })
}

/// Deletes all disks at once and waits until they and their nodes are gone.
fn delete_disks(host: &Host, disks: &[DeviceName], collected: &mut Collected) -> Result<()> {
    let root = &host.root;
    let known: Vec<(&DeviceName, Option<Hctl>)> = disks.iter().map(|disk| (disk, scsi::hctl(root, disk))).collect();
    let present: Vec<DeviceName> = disks.iter().filter(|disk| block::exists(root, disk)).cloned().collect();
    let written = fan_out(&present, |disk| {
        let path = scsi::delete_path(disk);
        match bounded::write(host, &path, "1", DISK_GONE) {
            // Somebody else was quicker.
            Err(Error::Io { .. }) if !attribute::named(&host.root.path(&path)) => Ok(()),
            result => result,
        }
    });
    for result in written {
        collected.check(result)?;
    }
    let is_left = |(disk, address): &&(&DeviceName, Option<Hctl>)| match scsi::hctl(root, disk) {
        // At another address it is another disk that got the name.
        Some(now) => address.as_ref() == Some(&now),
        None => block::exists(root, disk) || block::has_node(root, disk),
    };
    let left = || -> Vec<String> {
        known.iter().filter(is_left).map(|(disk, _)| disk.dev_path().display().to_string()).collect()
    };
    let gone = wait::until_true(Instant::now() + DISK_GONE, || left().is_empty());
    if gone { Ok(()) } else { collected.check(Err::<(), _>(Error::PathsNotRemoved { paths: left() })).map(drop) }
}

/// Removes udev's links to devices that are gone: the next device of the same name would inherit the identity.  udev
/// does so itself, but a busy one only after many seconds; it does not mind who was first.
fn remove_links(host: &Host, gone: &Gone<'_>) {
    if !host.runner.is_direct() {
        return;
    }
    for link in stale_links(host, &gone.devices(), gone.identity.as_ref()) {
        debug!(target: DEVICES, "removing {}", link.display());
        if let Err(error) = files::remove(&host.root, &link) {
            debug!(target: DEVICES, "{}", error.describe());
        }
    }
}

/// Links to a device that is gone, or that name the identity of one whose name another device has by now.
fn stale_links(host: &Host, devices: &[DeviceName], identity: Option<&Wwid>) -> Vec<PathBuf> {
    let carries = |device: &DeviceName| {
        device_mapper::map(&host.root, device).map(|map| map.wwid).or_else(|| scsi::wwid(&host.root, device))
    };
    let is_stale = |link: &PathBuf, device: &DeviceName| {
        !block::exists(&host.root, device)
            || identity.is_some_and(|gone| {
                let digits = gone.as_str().get(1..).filter(|digits| !digits.is_empty());
                let names_it = digits.is_some_and(|digits| link.to_string_lossy().ends_with(digits));
                names_it && carries(device).as_ref() != Some(gone)
            })
    };
    links::by_id_of(&host.root, devices)
        .into_iter()
        .filter_map(|(link, device)| is_stale(&link, &device).then_some(link))
        .collect()
}
