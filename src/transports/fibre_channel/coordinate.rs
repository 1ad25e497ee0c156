//! All paths of a volume: scans at once, disks as they come, until what was found is enough.
//!
//! One thread looks and decides; the scans, which may hang, have threads of their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::devices::map_watch::MapWatch;
use crate::error::{Error, Result};
use crate::host::act::{bounded, files};
use crate::host::view::device_mapper::Map;
use crate::host::view::{links, scsi};
use crate::host::wait::Pace;
use crate::identifiers::{DeviceName, Wwid};
use crate::log::{FIBRE_CHANNEL, Phases};
use crate::transports::first_maps::{self, FirstMap};

use super::fabric::{Fabric, Route};
use super::operation::Context;
use super::path::{self, Path};
use super::scan::{Scan, Scans};

/// From one attempt to find the disks to the next, as upstream paces them.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How often ports are looked at again; disks are looked for more often.
const PORTS: Duration = Duration::from_millis(300);
/// How long udev has to publish an identity that only it can form (T10 and vendor designators).
const UDEV: Duration = Duration::from_secs(10);
/// How long one disk has to be read.
const READ: Duration = Duration::from_secs(5);
/// How often all addresses are looked at while the first disk's map is waited for: nothing is scanned meanwhile, and looking
/// takes the processors that udev needs.
const CALM: Duration = Duration::from_millis(100);
/// Its node may come a moment after it, and its path may come back.
const READ_AGAIN: Duration = Duration::from_millis(250);

/// What an attach came to.
pub struct Outcome {
    pub paths: Vec<Path>,
    pub map: Option<Map>,
    /// Whether there is a disk besides, of which nobody has seen yet whose it is.
    pub has_unknown: bool,
}

pub struct Coordinator<'a> {
    context: &'a Context,
    scans: Arc<Scans>,
    fabric: Fabric,
    looked: Instant,
    /// Disks that were there before and have not been asked yet.
    before: HashSet<DeviceName>,
    found: Vec<Path>,
    refused: Vec<(DeviceName, Error)>,
    /// Disks without an identity so far.
    nameless: HashMap<DeviceName, Instant>,
    /// Disks that were read, with what came of it and when.
    read: HashMap<DeviceName, (Instant, Result<()>)>,
    attempt: u32,
    attempt_began: Instant,
    scanned: HashSet<Scan>,
    watch: MapWatch,
    first_disk: Option<Instant>,
    /// From the first disk on until its map can be handed out.
    first_map: Option<FirstMap>,
    /// Since when the map can be handed out: I/O can enter it and udev has named it.
    ready_since: Option<Instant>,
    /// When a disk was found last.
    news: Instant,
    /// When all addresses were looked at last.
    collected: Instant,
}

impl<'a> Coordinator<'a> {
    pub fn new(context: &'a Context, fabric: Fabric, scans: Arc<Scans>, before: HashSet<DeviceName>) -> Self {
        let now = Instant::now();
        Coordinator {
            context,
            scans,
            fabric,
            looked: now,
            before,
            found: Vec::new(),
            refused: Vec::new(),
            nameless: HashMap::new(),
            read: HashMap::new(),
            attempt: 1,
            attempt_began: now,
            scanned: HashSet::new(),
            watch: MapWatch::default(),
            first_disk: None,
            first_map: None,
            ready_since: None,
            news: now,
            collected: now,
        }
    }

    /// Until the volume can be handed out.
    pub fn run(&mut self, phases: &mut Phases) -> Result<Outcome> {
        let mut pace = Pace::new();
        loop {
            let is_due = self.is_due();
            if is_due {
                self.take_in(phases, &mut pace)?;
            }
            let had_map = self.watch.map().is_some();
            let enough = if self.context.settings.use_multipath {
                self.is_map_enough(is_due, phases)?
            } else {
                self.is_disk_enough()
            };
            if enough {
                return Ok(self.outcome());
            }
            if !had_map && self.watch.map().is_some() {
                pace.reset();
            }
            if is_due || self.is_due() {
                self.scan();
                self.check_patience()?;
            }
            self.scans.wait_for_news(pace.next());
            if self.looked.elapsed() >= PORTS {
                self.fabric = Fabric::look(&self.context.host.root);
                self.looked = Instant::now();
            }
        }
    }

    /// Whether it is time to look at all addresses, and not for the first disk's map alone.
    fn is_due(&self) -> bool {
        self.first_map.is_none() || self.collected.elapsed() >= CALM
    }

    /// What has come since the last time.
    fn take_in(&mut self, phases: &mut Phases, pace: &mut Pace) -> Result<()> {
        let known = self.found.len();
        self.collect()?;
        path::check_identities(&self.found)?;
        self.collected = Instant::now();
        if self.found.len() > known {
            self.first_disk.get_or_insert_with(|| {
                phases.end("first disk");
                Instant::now()
            });
            if known == 0 && self.context.settings.use_multipath && self.ready_since.is_none() {
                self.first_map = Some(FirstMap::awaited(&self.context.host.root));
            }
            self.news = Instant::now();
            pace.reset();
        }
        Ok(())
    }

    /// A single path is handed out under the disk that can be read, a map under its own name.
    fn outcome(&self) -> Outcome {
        let mut paths = self.found.clone();
        paths.sort_by_key(|path| self.read.get(&path.disk).is_none_or(|(_, outcome)| outcome.is_err()));
        Outcome { paths, map: self.watch.map().cloned(), has_unknown: self.has_unknown() }
    }

    /// The paths with a disk, a disk that waits for its identity, or neither.
    fn collect(&mut self) -> Result<()> {
        let root = &self.context.host.root;
        let routes = self.fabric.routes(&self.context.request);
        self.found.retain(|path| path.route.disk(root).as_ref() == Some(&path.disk));
        let mut to_ask = Vec::new();
        for route in routes {
            let Some(disk) = route.disk(root) else { continue };
            let known = self.found.iter().any(|path| path.disk == disk);
            if known || self.refused.iter().any(|(refused, _)| *refused == disk) {
                continue;
            }
            if self.before.contains(&disk) {
                if path::can_answer(&self.context.host, &route, &disk) {
                    to_ask.push((route, disk));
                }
                continue;
            }
            let identity = scsi::wwid(root, &disk).or_else(|| links::udev_identity(root, &disk));
            let since = *self.nameless.entry(disk.clone()).or_insert_with(Instant::now);
            if identity.is_some() || since.elapsed() >= UDEV {
                debug!(target: FIBRE_CHANNEL, "{route} is {disk}");
                self.found.push(Path { route, disk, identity, fresh: true });
            }
        }
        if to_ask.is_empty() {
            return Ok(());
        }
        self.before.retain(|disk| to_ask.iter().all(|(_, asked)| asked != disk));
        let accepted = path::accept(self.context, to_ask)?;
        self.found.extend(accepted.paths);
        self.refused.extend(accepted.refused);
        Ok(())
    }

    fn disks(&self) -> Vec<DeviceName> {
        self.found.iter().map(|path| path.disk.clone()).collect()
    }

    fn identity(&self) -> Option<Wwid> {
        self.found.first().and_then(|path| path.identity.clone())
    }

    /// The routes that are to have a disk and have none.
    fn missing(&self) -> Vec<Route> {
        let mut routes = self.fabric.routes_to_scan(&self.context.request);
        routes.retain(|route| route.is_online && route.disk(&self.context.host.root).is_none());
        routes
    }

    /// Whether there is a disk of which nobody has seen yet whose it is: it came just now, or waits for its identity.
    fn has_unknown(&self) -> bool {
        let is_known = |disk: &DeviceName| {
            self.found.iter().any(|path| path.disk == *disk)
                || self.refused.iter().any(|(refused, _)| refused == disk)
                || self.before.contains(disk)
        };
        let routes = self.fabric.routes(&self.context.request);
        routes.iter().filter_map(|route| route.disk(&self.context.host.root)).any(|disk| !is_known(&disk))
    }

    /// Scans what is missing, each once an attempt.  The first disk's map comes before the other paths, and other volumes'
    /// first maps as well: udev's work for the disks would delay them.
    fn scan(&mut self) {
        let routes = self.missing().iter().map(Scan::of).collect::<Vec<_>>();
        let wildcards = self.fabric.wildcards(&self.context.request);
        let all = routes.into_iter().chain(wildcards.iter().map(|(host, lun)| Scan::wildcard(host.number, *lun)));
        for scan in all {
            if self.scanned.contains(&scan) {
                continue;
            }
            if self.is_held_up() {
                return;
            }
            self.scans.start(&self.context.host, &scan);
            self.scanned.insert(scan);
        }
    }

    /// Whether other scans wait for what those of this attempt bring.
    fn is_held_up(&self) -> bool {
        let mut hopeful = self.scanned.iter().map(|scan| self.scans.is_hopeful(scan));
        if !self.context.settings.use_multipath {
            // One disk is enough, so the next route is for when this one leads nowhere.
            return hopeful.any(|hopeful| hopeful) || self.found.iter().any(|path| !self.read.contains_key(&path.disk));
        }
        match self.first_disk {
            Some(since) if since.elapsed() >= first_maps::PATIENCE => false,
            Some(_) => self.ready_since.is_none() || first_maps::is_any_awaited(&self.context.host.root),
            None => !self.scanned.is_empty() && hopeful.all(|hopeful| hopeful),
        }
    }

    /// One disk that can be read is enough.
    fn is_disk_enough(&mut self) -> bool {
        let direct = self.context.host.runner.is_direct();
        for index in 0..self.found.len() {
            let disk = self.found[index].disk.clone();
            let again = self.read.get(&disk).is_none_or(|(at, outcome)| outcome.is_err() && at.elapsed() > READ_AGAIN);
            if again {
                let outcome = if direct { self.read_disk(&disk) } else { Ok(()) };
                if let Err(error) = &outcome {
                    debug!(target: FIBRE_CHANNEL, "{disk} cannot be read: {}", error.describe());
                }
                self.read.insert(disk.clone(), (Instant::now(), outcome));
            }
            if self.read.get(&disk).is_some_and(|(_, outcome)| outcome.is_ok()) {
                return true;
            }
        }
        false
    }

    fn read_disk(&self, disk: &DeviceName) -> Result<()> {
        let (root, device) = (self.context.host.root.clone(), disk.dev_path());
        let what = format!("reading {}", device.display());
        bounded::within(&what, READ, move || files::read_first_block(&root, &device))
    }

    /// A map I/O can enter, and the other paths there, hopeless, or given their grace period.
    fn is_map_enough(&mut self, is_due: bool, phases: &mut Phases) -> Result<bool> {
        let (host, disks) = (self.context.host.clone(), self.disks());
        let had_map = self.watch.map().is_some();
        self.watch.look(&host, &disks, self.identity().as_ref());
        if !had_map && self.watch.map().is_some() {
            phases.end("map");
        }
        if self.found.is_empty() {
            return Ok(false);
        }
        if let Some(usable) = self.watch.usable_since() {
            return Ok(self.is_ready(usable, phases).is_some_and(|since| {
                !self.is_anything_pending() || since.elapsed() >= self.context.settings.portal_grace_period
            }));
        }
        if !is_due || self.is_anything_pending() {
            return Ok(false);
        }
        let hopeless = self.watch.is_hopeless(&host, &disks, self.context.settings.map_ready_timeout)?;
        if hopeless {
            warn!(target: FIBRE_CHANNEL, "No dm was created, connection to volume is probably bad and will perform poorly.");
        }
        Ok(hopeless)
    }

    /// Whether a path may still come, or a disk has not said yet whose it is.
    fn is_anything_pending(&self) -> bool {
        let expected = |route: &Route| {
            let scan = Scan::of(route);
            !self.scanned.contains(&scan) || self.scans.is_hopeful(&scan)
        };
        self.missing().iter().any(expected) || self.has_unknown()
    }

    /// Since when the map, which I/O can enter, has udev's name as well; without the name when udev takes too long.
    fn is_ready(&mut self, usable: Instant, phases: &mut Phases) -> Option<Instant> {
        if self.ready_since.is_none() {
            let map = self.watch.map()?;
            if links::of_map(&self.context.host.root, map).is_none() && usable.elapsed() < UDEV {
                return None;
            }
            phases.end("ready");
            self.first_map = None;
            self.ready_since = Some(Instant::now());
        }
        self.ready_since
    }

    /// Begins the next attempt when it is time, or ends with an error when there is none left.
    fn check_patience(&mut self) -> Result<()> {
        let usable = self.found.iter().any(|path| self.read.get(&path.disk).is_none_or(|(_, outcome)| outcome.is_ok()));
        let hopeful = self.scanned.iter().any(|scan| self.scans.is_hopeful(scan)) || !self.is_everything_named();
        let young = self.attempt_began.elapsed() < ATTEMPT || self.news.elapsed() < ATTEMPT;
        if usable || hopeful || young {
            return Ok(());
        }
        if self.attempt >= self.context.settings.device_scan_attempts {
            return Err(self.nothing_found());
        }
        info!(
            target: FIBRE_CHANNEL,
            "Fibre Channel volume device not yet found. Will rescan & retry.  Try number: {}.", self.attempt
        );
        self.attempt += 1;
        self.attempt_began = Instant::now();
        self.scanned.clear();
        Ok(())
    }

    /// Whether no disk waits for udev to name it.
    fn is_everything_named(&self) -> bool {
        let waiting = |(disk, since): (&DeviceName, &Instant)| {
            since.elapsed() < UDEV && crate::host::view::block::exists(&self.context.host.root, disk)
        };
        !self.nameless.iter().filter(|(disk, _)| self.found.iter().all(|path| path.disk != **disk)).any(waiting)
    }

    fn nothing_found(&self) -> Error {
        let routes = self.fabric.routes_to_scan(&self.context.request);
        let mut reasons: Vec<String> =
            self.refused.iter().map(|(disk, error)| format!("{disk}: {}", error.describe())).collect();
        let unread = self.read.iter().filter_map(|(disk, (_, outcome))| Some((disk, outcome.as_ref().err()?)));
        reasons.extend(unread.map(|(disk, error)| format!("{disk}: {}", error.describe())));
        reasons.extend(self.scans.failure().map(|error| error.describe()));
        let away = routes.iter().filter(|route| !route.is_online).map(|route| format!("{route} is not online"));
        reasons.extend(away);
        if routes.is_empty() {
            reasons.push("no port of this host has met a port of the volume".to_owned());
        }
        reasons.push(format!(
            "nothing appeared in {} attempt(s) to scan for {}",
            self.attempt, self.context.request.targets[0]
        ));
        Error::FibreChannelDeviceNotFound { reason: reasons.join("; ") }
    }
}
