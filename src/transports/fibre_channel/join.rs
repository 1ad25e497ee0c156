//! Paths that come after the attach has returned.
//!
//! A port of the array that was away is looked for during two minutes while the volume is attached.  Every step asks
//! first whether the volume is being detached or attached anew, and then leaves nothing behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::devices::{identify, multipath};
use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::view::{block, scsi};
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, Hctl, Wwid};
use crate::log::FIBRE_CHANNEL;
use crate::transports::locks::Operation;

use super::coordinate::Outcome;
use super::fabric::{Fabric, Route};
use super::operation::Context;
use super::path;
use super::scan::{Scan, Scans};

/// How long paths that are missing are looked for.
const TRIES: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// A port without the LUN is asked ever more rarely.
const MOST_SCANS: u32 = 4;
/// A disk has its name a moment after the scan.
const DISK: Duration = Duration::from_secs(1);

static STOPPED: AtomicBool = AtomicBool::new(false);

/// No late path begins anything any more: the process ends.
pub fn stop() {
    STOPPED.store(true, Ordering::Release);
}

/// The volume late paths belong to.
#[derive(Debug, Clone)]
pub struct Volume {
    identity: Option<Wwid>,
    disks: Vec<DeviceName>,
    has_map: bool,
}

impl Volume {
    pub fn of(outcome: &Outcome) -> Volume {
        Volume {
            identity: outcome.paths.first().and_then(|path| path.identity.clone()),
            disks: outcome.paths.iter().map(|path| path.disk.clone()).collect(),
            has_map: outcome.map.is_some(),
        }
    }

    /// Whether one of the disks the attach returned is still there and still the volume.
    fn is_attached(&self, host: &Host) -> bool {
        self.disks.iter().any(|disk| block::exists(&host.root, disk) && scsi::wwid(&host.root, disk) == self.identity)
    }
}

/// Scans that are on their way keep the volume's lock until they are done, then `work` is done under it.
pub fn after_scans(mut operation: Operation, scans: Arc<Scans>, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = operation.hand_over() {
        warn!(target: FIBRE_CHANNEL, "{}", error.describe());
    }
    let waited = fan_out::detach("late", move || {
        scans.wait_until_done(Scans::longest());
        work();
        drop(operation);
    });
    if let Err(error) = waited {
        debug!(target: FIBRE_CHANNEL, "{error}");
    }
}

/// The attach has returned: what is still on its way joins, and ports that are away are looked for.
pub fn go_on(context: &Context, operation: Operation, volume: Volume, scans: Arc<Scans>, has_unknown: bool) {
    let (context, known) = (context.clone(), volume.disks.iter().cloned().collect::<HashSet<_>>());
    let missing = missing(&context).iter().any(|route| scans.is_hopeful(&Scan::of(route)));
    if scans.in_flight() || missing || has_unknown {
        after_scans(operation, scans, move || {
            settle(&context, &volume, &known);
            search(context, volume);
        });
    } else {
        drop(operation);
        search(context, volume);
    }
}

/// Takes in disks that came after the attach, or takes them away.
fn settle(context: &Context, volume: &Volume, known: &HashSet<DeviceName>) {
    let root = &context.host.root;
    for route in Fabric::look(root).routes(&context.request) {
        let Some(disk) = route.disk(root).filter(|disk| !known.contains(disk)) else { continue };
        if let Err(error) = take_in(context, volume, &route, &disk) {
            debug!(target: FIBRE_CHANNEL, "{route}: {}", error.describe());
        }
    }
}

fn take_in(context: &Context, volume: &Volume, route: &Route, disk: &DeviceName) -> Result<()> {
    if identify::identity(&context.host, disk) == volume.identity {
        info!(target: FIBRE_CHANNEL, "{route} joined the volume as {disk}");
        multipath::offer(&context.host, disk);
        return Ok(());
    }
    path::take_down(&context.host, std::slice::from_ref(disk));
    Err(Error::WrongIdentity { device: disk.to_string(), reason: "it is not the volume's".to_owned() })
}

/// Looks for the paths a map still lacks.
fn search(context: Context, volume: Volume) {
    if !volume.has_map || missing(&context).is_empty() {
        return;
    }
    if let Err(error) = fan_out::detach("late", move || keep_trying(&context, &volume)) {
        debug!(target: FIBRE_CHANNEL, "{error}");
    }
}

/// The routes without a disk, of ports that are there and of those that are away.
fn missing(context: &Context) -> Vec<Route> {
    let root = &context.host.root;
    let mut routes = Fabric::look(root).routes_to_scan(&context.request);
    routes.retain(|route| route.disk(root).is_none());
    routes
}

fn check(context: &Context) -> Result<()> {
    if STOPPED.load(Ordering::Acquire) || context.locks.is_claimed(&context.volumes())? {
        return Err(Error::Cancelled { reason: "the volume is being detached or attached again".to_owned() });
    }
    Ok(())
}

fn keep_trying(context: &Context, volume: &Volume) {
    let deadline = Instant::now() + TRIES;
    let mut tries: std::collections::HashMap<Hctl, u32> = std::collections::HashMap::new();
    while Instant::now() < deadline {
        let stopped = wait::until_true(Instant::now() + BETWEEN_TRIES, || check(context).is_err());
        if stopped || !volume.is_attached(&context.host) {
            return;
        }
        let missing = missing(context);
        if missing.is_empty() {
            return;
        }
        for route in missing.iter().filter(|route| route.is_online) {
            let scanned = tries.entry(route.hctl).or_default();
            if *scanned >= MOST_SCANS {
                continue;
            }
            match try_once(context, volume, route) {
                Ok(()) => *scanned += 1,
                Err(Error::Cancelled { .. }) => return,
                Err(error) => {
                    *scanned += 1;
                    debug!(target: FIBRE_CHANNEL, "{route}: {}", error.describe());
                }
            }
        }
    }
}

fn try_once(context: &Context, volume: &Volume, route: &Route) -> Result<()> {
    let Some(_operation) = context.locks.late_path(&context.volumes())? else {
        return Err(Error::Cancelled { reason: "the volume is being detached or attached again".to_owned() });
    };
    if !volume.is_attached(&context.host) {
        return Ok(());
    }
    let root = &context.host.root;
    if route.disk(root).is_none() {
        Scan::of(route).run(&context.host)?;
    }
    let disk = wait::until(Instant::now() + DISK, || Ok(route.disk(root)))?;
    disk.map_or(Ok(()), |disk| take_in(context, volume, route, &disk))
}
