//! Who may do what at the same time, across threads, processes and users.
//!
//! - `os-brick-connect_volume`: upstream's lock.  A stock os-brick holds it exclusively, we share it: the two exclude
//!   each other, ours run in parallel.
//! - `os-brick-volumes`: for each volume an *intent* byte, held by whoever attaches or detaches it, and a *volume* byte:
//!   exclusive while it is attached, detached or extended, shared while a late path joins.  A late path that finds
//!   the intent taken gives up, so a detach never meets a path that appears behind its back.
//! - `os-brick-sessions`: for each session a byte: exclusive to log in or out, shared while an attach uses it; and for
//!   each portal one that whoever discovers with credentials holds.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::error::{Error, Result};
use crate::host::act::lock::{self, Held, Mode, Place};
use crate::host::attribute;
use crate::host::root::Root;
use crate::log::HOST;

/// A stock os-brick may hold its lock for several logins of 126 s.
const PATIENCE: Duration = Duration::from_secs(1200);

const VOLUMES: &str = "os-brick-volumes";

/// The locks of a host's lock directory.
#[derive(Debug, Clone)]
pub struct Locks {
    directory: PathBuf,
}

/// What an attach, detach or extend holds.
#[derive(Debug)]
pub struct Operation {
    intent: Vec<Held>,
    volume: Vec<Held>,
    _upstream: Held,
}

impl Operation {
    /// The operation is over, but some of its paths are still on their way: they keep sharing the locks.
    pub fn hand_over(&mut self) -> Result<()> {
        self.intent.clear();
        self.volume.iter().try_for_each(Held::share)
    }
}

impl Locks {
    pub fn new(root: &Root, directory: &std::path::Path) -> Locks {
        Locks { directory: root.path(directory) }
    }

    /// Whether anybody has locked a volume in this directory.
    pub fn are_in_use(&self) -> bool {
        attribute::is_regular(&self.directory.join(VOLUMES))
    }

    fn upstream(&self) -> Place {
        Place::whole(self.directory.join("os-brick-connect_volume"))
    }

    fn places(&self, kind: &str, volumes: &[String]) -> Vec<Place> {
        let file = self.directory.join(VOLUMES);
        let mut places: Vec<Place> =
            volumes.iter().map(|volume| Place::named(file.clone(), &format!("{kind} {volume}"))).collect();
        // One order for everybody, so that two operations never wait for each other in a ring.
        places.sort_by_key(Place::order);
        places.dedup_by_key(|place| place.order());
        places
    }

    pub fn session(&self, portal: &str, iqn: &str) -> Place {
        Place::named(self.directory.join("os-brick-sessions"), &format!("session {portal} {iqn}"))
    }

    /// For a discovery with credentials, which stand in the portal's one discovery record meanwhile.
    pub fn discovery(&self, portal: &str) -> Place {
        Place::named(self.directory.join("os-brick-sessions"), &format!("discovery {portal}"))
    }

    /// For whoever must be sure that nobody attaches or detaches anything on this host, a stock os-brick included.  None
    /// when somebody still does.
    pub fn alone(&self, patience: Duration) -> Result<Option<Held>> {
        let until = Instant::now() + patience;
        match lock::acquire(&self.upstream(), Mode::Exclusive, until) {
            Ok(held) => Ok(Some(held)),
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// For looking at an attachment record and writing it, which takes milliseconds.
    pub fn record(&self, file: &str) -> Place {
        Place::named(self.directory.join(VOLUMES), &format!("record {file}"))
    }

    /// For whoever changes something beside all operations; None while a stock os-brick is at work.
    pub fn beside_others(&self) -> Result<Option<Held>> {
        lock::try_acquire(&self.upstream(), Mode::Shared)
    }

    /// For an attach or a detach of a volume, known by one or several names.
    pub fn operation(&self, volumes: &[String]) -> Result<Operation> {
        let upstream = wait_for(&self.upstream(), Mode::Shared, "another os-brick on this host")?;
        let intent = all(&self.places("intent", volumes), "another attach or detach of this volume")?;
        let volume = all(&self.places("volume", volumes), "a path of this volume that is still coming up")?;
        Ok(Operation { intent, volume, _upstream: upstream })
    }

    /// For an extend: nobody is told to give up.
    pub fn extension(&self, volumes: &[String]) -> Result<Operation> {
        let upstream = wait_for(&self.upstream(), Mode::Shared, "another os-brick on this host")?;
        let volume = all(&self.places("volume", volumes), "another operation on this volume")?;
        Ok(Operation { intent: Vec::new(), volume, _upstream: upstream })
    }

    /// For a late path of a volume: None when the volume is being attached or detached.
    pub fn late_path(&self, volumes: &[String]) -> Result<Option<Operation>> {
        if self.is_claimed(volumes)? {
            return Ok(None);
        }
        let Some(upstream) = self.beside_others()? else {
            return Ok(None);
        };
        let mut volume = Vec::new();
        for place in self.places("volume", volumes) {
            match lock::try_acquire(&place, Mode::Shared)? {
                Some(held) => volume.push(held),
                None => return Ok(None),
            }
        }
        // Whoever claimed it in between now waits for us.
        if self.is_claimed(volumes)? {
            return Ok(None);
        }
        Ok(Some(Operation { intent: Vec::new(), volume, _upstream: upstream }))
    }

    /// Whether somebody attaches or detaches the volume.
    pub fn is_claimed(&self, volumes: &[String]) -> Result<bool> {
        for place in self.places("intent", volumes) {
            if lock::try_acquire(&place, Mode::Shared)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn all(places: &[Place], holder: &str) -> Result<Vec<Held>> {
    places.iter().map(|place| wait_for(place, Mode::Exclusive, holder)).collect()
}

fn wait_for(place: &Place, mode: Mode, holder: &str) -> Result<Held> {
    if let Some(held) = lock::try_acquire(place, mode)? {
        return Ok(held);
    }
    let started = Instant::now();
    info!(target: HOST, "waiting for {holder} ({})", place.order().0.display());
    let held = lock::acquire(place, mode, started + PATIENCE)?;
    if started.elapsed() > Duration::from_secs(5) {
        warn!(target: HOST, "waited {:.1} s for {holder}", started.elapsed().as_secs_f64());
    }
    Ok(held)
}
