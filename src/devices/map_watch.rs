//! One volume's map on its way: found, helped into being, usable, or given up.
//!
//! Looks and never waits, so whoever brings the disks up decides how long all of it may take.

use std::time::{Duration, Instant};

use log::debug;

use crate::devices::multipath::{self, Formation};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::programs::multipathd;
use crate::host::view::device_mapper::Map;
use crate::host::view::{block, udev};
use crate::identifiers::{DeviceName, Wwid};
use crate::log::DEVICES;

/// How long multipathd has for a map after udev was done with the disks (upstream waits as long).
const NO_MAP: Duration = Duration::from_secs(10);
/// How long udev has for the disks when many arrive at once, and multipathd to know one of them.
const UDEV_BACKLOG: Duration = Duration::from_secs(90);
/// How long multipathd has to form a map before it is told again.
const INSIST: Duration = Duration::from_secs(5);
/// The same while udev works: a disk it is not done with is nothing multipathd could use, but it would list it.
const INSIST_AT_WORK: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct MapWatch {
    formation: Formation,
    map: Option<Map>,
    first_disk: Option<Instant>,
    insisted: bool,
    usable_since: Option<Instant>,
    /// Since when all disks are there.
    complete: Option<Instant>,
    /// Since when multipathd has known one of them, and udev is at rest.
    seen: Option<Instant>,
}

impl MapWatch {
    /// Looks for the map over the disks, and helps it along while there is none.
    pub fn look(&mut self, host: &Host, disks: &[DeviceName], identity: Option<&Wwid>) {
        if disks.is_empty() || self.usable_since.is_some() {
            return;
        }
        let first = *self.first_disk.get_or_insert_with(Instant::now);
        if self.map.as_ref().is_none_or(|map| !block::exists(&host.root, &map.device)) {
            self.map = multipath::find_map(host, disks);
            if self.map.is_some() && host.runner.is_direct() {
                multipath::have_claimed(host, disks);
            }
        }
        match (&self.map, identity) {
            (Some(map), _) if is_usable(host, map) => self.usable_since = Some(Instant::now()),
            (None, Some(identity)) => {
                self.formation.help(host, identity, disks);
                let patience = if udev::is_at_work(&host.root) { INSIST_AT_WORK } else { INSIST };
                if !self.insisted && first.elapsed() > patience {
                    self.insisted = true;
                    self.formation.insist(host, identity, disks);
                }
            }
            _ => {}
        }
    }

    pub fn map(&self) -> Option<&Map> {
        self.map.as_ref()
    }

    /// Since when I/O can enter the map.
    pub fn usable_since(&self) -> Option<Instant> {
        self.usable_since
    }

    /// All disks are there: true once it is clear that no map comes, an error for one that does not become usable
    /// within `ready`.
    pub fn is_hopeless(&mut self, host: &Host, disks: &[DeviceName], ready: Duration) -> Result<bool> {
        let complete = *self.complete.get_or_insert_with(Instant::now);
        if complete.elapsed() < UDEV_BACKLOG {
            let at_work = udev::is_at_work(&host.root);
            if at_work {
                self.seen = None;
            }
            if at_work || !self.is_seen(host, disks) {
                // Not multipathd's turn yet.
                return Ok(false);
            }
        }
        let since = *self.seen.get_or_insert_with(Instant::now);
        match &self.map {
            None => Ok(since.elapsed() >= NO_MAP),
            Some(_) if since.elapsed() < ready.max(NO_MAP) => Ok(false),
            Some(map) => Err(Error::Timeout {
                what: format!("the multipath map {} ({}) becoming ready for I/O", map.name, map.device),
                after: since.elapsed(),
            }),
        }
    }

    /// Without an answer there is nothing to wait for.
    fn is_seen(&self, host: &Host, disks: &[DeviceName]) -> bool {
        self.seen.is_some()
            || multipathd::paths(host).map_or(true, |paths| disks.iter().any(|disk| paths.contains_key(disk)))
    }
}

fn is_usable(host: &Host, map: &Map) -> bool {
    multipath::is_usable(host, map).unwrap_or_else(|error| {
        debug!(target: DEVICES, "{}", error.describe());
        false
    })
}
