//! A volume that was extended: every disk and the map over them.

use std::time::{Duration, Instant};

use crate::devices::multipath;
use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::act::{bounded, files};
use crate::host::programs::{dd, multipathd};
use crate::host::view::device_mapper::Map;
use crate::host::view::{block, scsi};
use crate::host::{Host, wait};
use crate::identifiers::DeviceName;

/// How long one disk has to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// multipathd answers `timeout` while it reconfigures.
const MAP_BUSY: Duration = Duration::from_secs(120);
/// It answers `fail` for a map udev has not finished with.
const MAP_YOUNG: Duration = Duration::from_secs(10);

/// Has the kernel read the size of every disk again, grows the map, and gives the new size in bytes.  All disks must
/// be up: a path that comes back with the old size would damage the volume.
pub fn resize(host: &Host, disks: &[DeviceName]) -> Result<u64> {
    if disks.is_empty() {
        return Err(Error::PathsNotFound { reason: "no disk of the volume is on this host".to_owned() });
    }
    for outcome in fan_out(disks, |disk| check_up(host, disk)) {
        outcome?;
    }
    for outcome in fan_out(disks, |disk| bounded::write(host, &scsi::rescan_path(disk), "1", ANSWER)) {
        outcome?;
    }
    let size = agreed_size(host, disks)?;
    match multipath::find_map(host, disks) {
        Some(map) => resize_map(host, &map, size).map(|()| size),
        None => Ok(size),
    }
}

fn check_up(host: &Host, disk: &DeviceName) -> Result<()> {
    let down = |reason: String| Error::PathDown { reason: format!("{disk}: {reason}") };
    match scsi::state(&host.root, disk).as_deref() {
        Some("running") | None => {}
        Some(state) => return Err(down(format!("its state is {state}"))),
    }
    let (root, device) = (host.root.clone(), disk.dev_path());
    if !host.runner.is_direct() {
        return dd::read_first_block(host, &device, ANSWER).map_err(|error| down(error.describe()));
    }
    bounded::within(&format!("reading {}", device.display()), ANSWER, move || files::read_first_block(&root, &device))
        .map_err(|error| down(error.describe()))
}

/// The size all disks agree on.  Arrays may tell one path after another.
fn agreed_size(host: &Host, disks: &[DeviceName]) -> Result<u64> {
    let sizes = || disks.iter().map(|disk| block::size(&host.root, disk)).collect::<Vec<_>>();
    let agreed = wait::until(Instant::now() + Duration::from_secs(5), || {
        let sizes = sizes();
        let first = sizes.first().copied().flatten();
        Ok(first.filter(|size| sizes.iter().all(|other| *other == Some(*size))))
    })?;
    agreed.ok_or_else(|| {
        let each: Vec<String> = disks.iter().zip(sizes()).map(|(disk, size)| format!("{disk}: {size:?}")).collect();
        Error::PathDown { reason: format!("the paths disagree about the size in bytes: {}", each.join(", ")) }
    })
}

fn resize_map(host: &Host, map: &Map, size: u64) -> Result<()> {
    let started = Instant::now();
    let grown = wait::until(started + MAP_BUSY, || {
        if block::size(&host.root, &map.device) == Some(size) {
            return Ok(Some(()));
        }
        match multipathd::resize_map(host, map.device.as_str()) {
            Ok(()) => Ok((block::size(&host.root, &map.device) == Some(size)).then_some(())),
            Err(error) if multipathd::is_timeout(&error) => Ok(None),
            // It refuses as long as udev has not told it that a new map is complete.
            Err(Error::Command(_)) if started.elapsed() < MAP_YOUNG => Ok(None),
            Err(error) => Err(error),
        }
    })?;
    grown.ok_or_else(|| Error::Timeout {
        what: format!("the map {} growing from {:?} to {size} bytes", map.name, block::size(&host.root, &map.device)),
        after: MAP_BUSY,
    })
}
