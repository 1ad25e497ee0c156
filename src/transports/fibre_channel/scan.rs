//! Scans on their way: each is a write that lasts until the kernel has asked the target.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use log::debug;

use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::Host;
use crate::host::act::bounded;
use crate::host::view::scsi;
use crate::identifiers::Lun;
use crate::log::FIBRE_CHANNEL;

use super::fabric::Route;

/// A target that hangs holds up the write; the kernel gives up on it earlier than this.
const LONGEST: Duration = Duration::from_secs(60);
/// A scan that takes longer will hardly bring a disk.
pub const HOPEFUL: Duration = Duration::from_secs(2);
/// A disk has its name a moment after the scan.
const DISK: Duration = Duration::from_millis(500);

/// What is written to `/sys/class/scsi_host/hostN/scan`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scan {
    pub host: u32,
    /// `channel target lun`
    pub what: String,
}

impl Scan {
    pub fn of(route: &Route) -> Scan {
        let hctl = &route.hctl;
        Scan { host: hctl.host, what: format!("{} {} {}", hctl.channel, hctl.target, hctl.lun) }
    }

    /// Of one LUN at every target.
    pub fn wildcard(host: u32, lun: Lun) -> Scan {
        Scan { host, what: format!("- - {lun}") }
    }

    /// Scans, and returns when the kernel is done.
    pub fn run(&self, host: &Host) -> Result<()> {
        debug!(target: FIBRE_CHANNEL, "scanning host{} for {}", self.host, self.what);
        bounded::write(host, &scsi::scan_path(self.host), &self.what, LONGEST)
    }
}

#[derive(Debug, Clone)]
struct State {
    started: Instant,
    done: Option<Instant>,
    failure: Option<Error>,
}

/// The scans of one attach.
#[derive(Debug, Default)]
pub struct Scans {
    states: Mutex<HashMap<Scan, State>>,
    changed: Condvar,
}

impl Scans {
    /// Starts a scan unless the same is on its way.
    pub fn start(self: &Arc<Scans>, host: &Host, scan: &Scan) {
        let Ok(mut states) = self.states.lock() else { return };
        if states.get(scan).is_some_and(|state| state.done.is_none()) {
            return;
        }
        states.insert(scan.clone(), State { started: Instant::now(), done: None, failure: None });
        drop(states);
        let (scans, work, of_host) = (Arc::clone(self), scan.clone(), host.clone());
        let started = fan_out::detach("scan", move || scans.end(&work, work.run(&of_host)));
        if let Err(error) = started {
            self.end(scan, Err(Error::io("start a thread for", std::path::Path::new("a scan"), &error)));
        }
    }

    fn end(&self, scan: &Scan, outcome: Result<()>) {
        if let Err(error) = &outcome {
            debug!(target: FIBRE_CHANNEL, "scan of host{} for {}: {}", scan.host, scan.what, error.describe());
        }
        if let Ok(mut states) = self.states.lock()
            && let Some(state) = states.get_mut(scan)
        {
            state.done = Some(Instant::now());
            state.failure = outcome.err();
        }
        self.changed.notify_all();
    }

    /// Whether it may still bring a disk.
    pub fn is_hopeful(&self, scan: &Scan) -> bool {
        let Ok(states) = self.states.lock() else { return false };
        states.get(scan).is_some_and(|state| match state.done {
            None => state.started.elapsed() < HOPEFUL,
            Some(done) => state.failure.is_none() && done.elapsed() < DISK,
        })
    }

    pub fn in_flight(&self) -> bool {
        self.states.lock().is_ok_and(|states| states.values().any(|state| state.done.is_none()))
    }

    /// The first failure of any of them, for whoever found nothing.
    pub fn failure(&self) -> Option<Error> {
        self.states.lock().ok()?.values().find_map(|state| state.failure.clone())
    }

    /// Waits until something is done, at most `timeout`.
    pub fn wait_for_news(&self, timeout: Duration) {
        if let Ok(states) = self.states.lock() {
            drop(self.changed.wait_timeout(states, timeout));
        }
    }

    /// Whether one may still bring a disk, however late.
    fn is_anything_expected(&self) -> bool {
        let recent = |state: &State| state.done.is_none_or(|done| done.elapsed() < DISK);
        self.states.lock().is_ok_and(|states| states.values().any(recent))
    }

    /// Waits until none can bring a disk any more; false when one still can.
    pub fn wait_until_done(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_anything_expected() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.wait_for_news(left.min(DISK / 5));
        }
        true
    }

    /// How long a scan may be on its way.
    pub fn longest() -> Duration {
        LONGEST + Duration::from_secs(5)
    }
}
