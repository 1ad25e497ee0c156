//! From disks to a map I/O can enter.

use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::error::{Error, Result};
use crate::host::act::wwids;
use crate::host::programs::{multipath, multipathd};
use crate::host::view::device_mapper::{self, Map};
use crate::host::view::{block, udev};
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, Wwid};
use crate::log::DEVICES;

/// One second, two, four, eight: as patient as upstream.
const READ_ONLY_RELOADS: u32 = 4;
/// Values of `find_multipaths` with which one path is enough for a map.
const GREEDY: [&str; 3] = ["no", "off", "greedy"];

/// How a volume's map is being waited for.
#[derive(Default)]
pub struct Formation {
    /// Whether multipathd was told that the identity is a multipath.
    told: bool,
    /// Disks multipathd was asked to look at again.
    offered: Vec<DeviceName>,
}

/// The map over any of the disks.
pub fn find_map(host: &Host, disks: &[DeviceName]) -> Option<Map> {
    disks.iter().find_map(|disk| device_mapper::map_over(&host.root, disk))
}

impl Formation {
    /// Helps multipathd to form a map from a first path.  The identity is written down once: udev then takes the disk for a path
    /// at its first look, if it has not looked yet, and needs no second one when the map is there (0013).  With
    /// `find_multipaths` yes, smart or strict multipathd would leave a single path alone: it is asked to look at each again.
    pub fn help(&mut self, host: &Host, wwid: &Wwid, disks: &[DeviceName]) {
        if !self.told {
            self.told = true;
            let is_known = is_written_down(host, wwid);
            if forms_maps_alone(host) {
                self.offered.extend_from_slice(disks);
                return;
            }
            if !is_known && let Err(error) = multipath::add_wwid(host, wwid) {
                warn!(target: DEVICES, "multipathd could not be told about {wwid}: {}", error.describe());
            }
        }
        for disk in disks {
            if !self.offered.contains(disk) {
                self.offered.push(disk.clone());
                offer(host, disk);
            }
        }
    }

    /// Asks again for every disk: used when nothing has happened for a while.
    pub fn insist(&mut self, host: &Host, wwid: &Wwid, disks: &[DeviceName]) {
        if let Err(error) = multipath::add_wwid(host, wwid) {
            debug!(target: DEVICES, "multipath -a {wwid}: {}", error.describe());
        }
        disks.iter().for_each(|disk| offer(host, disk));
    }
}

/// A disk udev was done with before it could know that it is a path: udev looks again, at its partitions too.  multipathd asks for that only when it
/// writes the identity down itself.
pub fn have_claimed(host: &Host, disks: &[DeviceName]) {
    let passed_over = |disk: &&DeviceName| udev::is_path(&host.root, disk) == Some(false);
    let events = disks.iter().filter(passed_over).flat_map(|disk| block::event_paths(&host.root, disk));
    for event in events {
        if let Err(error) = host.runner.write(&event, "change") {
            debug!(target: DEVICES, "udev was not asked to look again: {}", error.describe());
        }
    }
}

/// Writes the identity into multipath's memory.  False when that is not where it always is, or a caller runs every command.
fn is_written_down(host: &Host, wwid: &Wwid) -> bool {
    if !host.runner.is_direct() {
        return false;
    }
    let written = wwids::add(&host.root, wwid);
    match &written {
        Ok(added) => debug!(target: DEVICES, "{} multipath's wwids file: {wwid}", if *added { "now in" } else { "in" }),
        Err(error) => debug!(target: DEVICES, "{}", error.describe()),
    }
    written.is_ok()
}

/// `add path`: multipathd looks at a disk again that it had left alone.
pub fn offer(host: &Host, disk: &DeviceName) {
    if let Err(error) = multipathd::add_path(host, disk) {
        debug!(target: DEVICES, "multipathd did not take {disk} yet: {}", error.describe());
    }
}

fn forms_maps_alone(host: &Host) -> bool {
    // A caller that runs every command itself pays for each; telling multipathd is right in every case.
    host.runner.is_direct()
        && multipathd::default_option(host, "find_multipaths")
            .is_ok_and(|value| value.is_some_and(|value| GREEDY.contains(&value.as_str())))
}

/// Whether I/O to the map can succeed now: it is live in the kernel and multipathd knows a usable path of it.
pub fn is_usable(host: &Host, map: &Map) -> Result<bool> {
    if !device_mapper::is_live(&host.root, &map.device) {
        return Ok(false);
    }
    if !host.runner.is_direct() {
        return multipath::is_usable(host, &map.device);
    }
    let slaves = block::slaves(&host.root, &map.device);
    let paths = multipathd::paths(host)?;
    Ok(slaves.iter().any(|disk| paths.get(disk).is_some_and(multipathd::Path::is_usable)))
}

/// A map takes over that a path is read-only, and keeps it when the array no longer says so: has multipathd read its
/// maps again, at most `READ_ONLY_RELOADS` times.  False when it stays read-only.
pub fn make_writable(host: &Host, map: &Map) -> bool {
    for reload in 0..READ_ONLY_RELOADS {
        if !block::is_read_only(&host.root, &map.device) {
            return true;
        }
        if let Err(error) = multipath::reload(host) {
            debug!(target: DEVICES, "multipath -r: {}", error.describe());
        }
        let pause = Duration::from_secs(1 << reload);
        wait::until_true(Instant::now() + pause, || !block::is_read_only(&host.root, &map.device));
    }
    !block::is_read_only(&host.root, &map.device)
}

/// Whether the host can do multipath at all.
pub fn check_available(host: &Host, wanted: bool, enforced: bool) -> Result<()> {
    if !wanted {
        return Ok(());
    }
    match multipathd::is_running(host) {
        Ok(()) => Ok(()),
        Err(error) if enforced => Err(Error::MultipathUnavailable { reason: error.describe() }),
        Err(error) => {
            warn!(
                target: DEVICES,
                "Multipathing is requested but the host doesn't support multipathing: {}", error.describe()
            );
            Ok(())
        }
    }
}

/// Waits until multipathd no longer watches the disks, which are gone; after that asks it to let go of what is left.
/// A disk that is there is another that got the name, and multipathd is right to watch it.
pub fn wait_until_forgotten(host: &Host, disks: &[DeviceName], timeout: Duration) -> Result<()> {
    let watched = || -> Result<Vec<DeviceName>> {
        let paths = multipathd::paths(host)?;
        let is_left = |disk: &&DeviceName| paths.contains_key(*disk) && !block::exists(&host.root, disk);
        Ok(disks.iter().filter(is_left).cloned().collect())
    };
    let gone = wait::until(Instant::now() + timeout, || Ok(watched()?.is_empty().then_some(())));
    match gone {
        Ok(Some(())) => Ok(()),
        Ok(None) => {
            for disk in watched()? {
                debug!(target: DEVICES, "multipathd still watches {disk}, telling it to stop");
                multipathd::remove_path(host, &disk)?;
            }
            Ok(())
        }
        // No multipathd, nothing watched.
        Err(error) => {
            debug!(target: DEVICES, "multipathd was not asked: {}", error.describe());
            Ok(())
        }
    }
}
