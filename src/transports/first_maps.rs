//! Volumes whose first disk is about to become a map.
//!
//! udev and multipathd work on every disk that appears, one after the other.  When many volumes are attached at once, the
//! further disks of the first volumes would come before the maps of the last; so further paths are scanned when no
//! volume waits for its first map any more.  An attach that can be returned does not wait for that.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::host::root::Root;

/// How long the map of a first disk may hold up the scans of further paths.  On real machines it forms within a fraction
/// of this.
pub const PATIENCE: Duration = Duration::from_secs(10);

static AWAITED: Mutex<Vec<Awaited>> = Mutex::new(Vec::new());
static SERIAL: AtomicU64 = AtomicU64::new(0);

struct Awaited {
    serial: u64,
    machine: PathBuf,
    since: Instant,
}

/// A first map that is waited for, until this is dropped.
pub struct FirstMap(u64);

impl FirstMap {
    /// The volume's first disk was found on the machine.
    pub fn awaited(root: &Root) -> FirstMap {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut awaited) = AWAITED.lock() {
            awaited.push(Awaited { serial, machine: root.path("/"), since: Instant::now() });
        }
        FirstMap(serial)
    }
}

impl Drop for FirstMap {
    fn drop(&mut self) {
        if let Ok(mut awaited) = AWAITED.lock() {
            awaited.retain(|other| other.serial != self.0);
        }
    }
}

/// Whether a volume of this process waits for its first map, and has not done so for too long.
pub fn is_any_awaited(root: &Root) -> bool {
    let machine = root.path("/");
    AWAITED
        .lock()
        .is_ok_and(|awaited| awaited.iter().any(|one| one.machine == machine && one.since.elapsed() < PATIENCE))
}
