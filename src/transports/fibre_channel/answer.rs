//! What `connect_volume` returns: the names callers know volumes by.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::warn;

use crate::devices::multipath;
use crate::host::view::device_mapper::Map;
use crate::host::view::links;
use crate::host::wait;
use crate::identifiers::Wwid;
use crate::log::FIBRE_CHANNEL;

use super::coordinate::Outcome;
use super::operation::Context;
use super::path::Path;

/// How long udev may be behind the kernel.
const UDEV: Duration = Duration::from_secs(10);

/// What `connect_volume` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The map's link in by-id, or the disk's in by-path.
    pub path: String,
    /// The identity as udev has it; empty when the disk has none.
    pub scsi_wwn: String,
    /// The identity, when there is a map.
    pub multipath_id: Option<String>,
}

/// Names what was found.  None when there is nothing.
pub fn attachment(context: &Context, outcome: &Outcome) -> Option<Attachment> {
    let first = outcome.paths.first()?;
    let identity = outcome.map.as_ref().map(|map| &map.wwid).or(first.identity.as_ref());
    let scsi_wwn = identity.map_or_else(String::new, Wwid::to_string);
    let path = match &outcome.map {
        Some(map) => name_of_map(context, map),
        None => name_of_disk(context, first),
    };
    let multipath_id = outcome.map.is_some().then(|| scsi_wwn.clone());
    Some(Attachment { path: path.display().to_string(), scsi_wwn, multipath_id })
}

fn name_of_map(context: &Context, map: &Map) -> PathBuf {
    if !context.request.read_only && !multipath::make_writable(&context.host, map) {
        warn!(target: FIBRE_CHANNEL, "{} ({}) is still read-only; handed out all the same", map.name, map.device);
    }
    // It was waited for before the map counted as ready.
    named(map.device.dev_path(), links::of_map(&context.host.root, map))
}

fn name_of_disk(context: &Context, path: &Path) -> PathBuf {
    let Path { route, disk, .. } = path;
    let find = || Ok(links::of_fibre_channel(&context.host.root, &route.host, route.target.wwpn, route.lun(), disk));
    named(disk.dev_path(), wait::until(Instant::now() + UDEV, find).ok().flatten())
}

/// Without udev's link the device's own name serves until the next start of the host.
fn named(device: PathBuf, found: Option<PathBuf>) -> PathBuf {
    found.unwrap_or_else(|| {
        warn!(target: FIBRE_CHANNEL, "udev made no link to {}", device.display());
        device
    })
}
