//! All paths of a multipathed volume at once, until there is a map I/O can enter.
//!
//! One thread for each path; this one collects what they bring, helps multipathd, and decides when it is enough.  A
//! path that is still on its way when the attach returns goes on alone (`join`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::devices::multipath::{self, Formation};
use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::programs::multipathd;
use crate::host::view::device_mapper::Map;
use crate::host::wait::Pace;
use crate::identifiers::{DeviceName, Wwid};
use crate::log::{ISCSI, Phases};
use crate::transports::locks::Operation;
use crate::transports::portals;

use super::crew::{self, Crew};
use super::join::{self, Volume};
use super::operation::Context;
use super::path::{self, Path};
use super::request::Target;

/// How long multipathd has for a map after udev has shown it a disk (upstream waits as long).
const NO_MAP: Duration = Duration::from_secs(10);
/// How long udev has for that when many disks arrive at once.
const UDEV_BACKLOG: Duration = Duration::from_secs(90);
/// How long multipathd has to form a map before it is told again.
const INSIST: Duration = Duration::from_secs(5);
/// How long threads have to notice that the attach failed; a login takes up to 17 s.
const WIND_UP: Duration = Duration::from_secs(20);

/// What an attach came to.
pub struct Outcome {
    pub disks: Vec<DeviceName>,
    pub identity: Option<Wwid>,
    pub map: Option<Map>,
}

struct Coordinator {
    crew: Arc<Crew>,
    targets: Vec<Target>,
    /// Targets whose portals failed lately: nobody waits for them.
    doubtful: Vec<bool>,
    pending: Vec<bool>,
    found: Vec<Path>,
    failures: Vec<(Target, Error)>,
    formation: Formation,
    map: Option<Map>,
    usable_since: Option<Instant>,
    first_disk: Option<Instant>,
    insisted: bool,
    /// Since when no path is on its way any more.
    all_done: Option<Instant>,
    /// Since when multipathd has known one of the disks.
    seen: Option<Instant>,
}

/// Attaches through all targets.  Returns with the locks released, or handed to the paths still on their way.
pub fn connect(context: Context, targets: Vec<Target>, operation: Operation, phases: &mut Phases) -> Result<Outcome> {
    let crew = Arc::new(Crew::new(context, operation));
    let count = targets.len();
    let doubtful = targets.iter().map(|target| portals::failed_lately(&target.portal)).collect();
    let mut coordinator = Coordinator {
        crew,
        targets,
        doubtful,
        pending: vec![true; count],
        found: Vec::new(),
        failures: Vec::new(),
        formation: Formation::default(),
        map: None,
        usable_since: None,
        first_disk: None,
        insisted: false,
        all_done: None,
        seen: None,
    };
    coordinator.start()?;
    match coordinator.run(phases) {
        Ok(()) => Ok(coordinator.finish()),
        Err(error) => {
            coordinator.wind_up();
            Err(error)
        }
    }
}

impl Coordinator {
    fn start(&self) -> Result<()> {
        for (index, target) in self.targets.iter().enumerate() {
            let (crew, target) = (Arc::clone(&self.crew), target.clone());
            let started = fan_out::detach("path", move || crew::work(&crew, index, &target));
            if let Err(error) = started {
                self.crew.abort.store(true, Ordering::Release);
                return Err(Error::io("start a thread for", std::path::Path::new("a path"), &error));
            }
        }
        Ok(())
    }

    fn run(&mut self, phases: &mut Phases) -> Result<()> {
        let mut pace = Pace::new();
        loop {
            let news = self.crew.wait_for_news(pace.next());
            if !news.is_empty() {
                pace.reset();
            }
            for (index, outcome) in news {
                self.pending[index] = false;
                self.take(index, outcome, phases);
            }
            self.settle_identity()?;
            self.look_for_map(phases)?;
            if self.is_enough()? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, index: usize, outcome: Result<Path>, phases: &mut Phases) {
        let target = &self.targets[index];
        match outcome {
            Ok(path) => {
                if self.first_disk.is_none() {
                    self.first_disk = Some(Instant::now());
                    phases.end("first disk");
                }
                debug!(target: ISCSI, "{target} is {}", path.disk);
                portals::forget_failed(&target.portal);
                self.found.push(path);
            }
            Err(error) => {
                warn!(target: ISCSI, "no path through {target}: {}", error.describe());
                // Whoever waits for the first path's map need not any longer.
                self.crew.turn.open();
                self.failures.push((target.clone(), error));
            }
        }
    }

    /// All paths carry one identity.  What the properties name decides; a path that disagrees is taken down again.
    fn settle_identity(&mut self) -> Result<()> {
        let Some(reference) = self.reference() else {
            return Ok(());
        };
        let (keep, foreign): (Vec<Path>, Vec<Path>) =
            std::mem::take(&mut self.found).into_iter().partition(|path| path.identity == reference.identity);
        self.found = keep;
        for path in foreign {
            let shown = |identity: &Option<Wwid>| identity.as_ref().map_or("no identity".to_owned(), Wwid::to_string);
            let error = Error::WrongIdentity {
                device: format!("{} ({})", path.disk.dev_path().display(), path.target),
                reason: format!("it carries {}, the volume is {}", shown(&path.identity), shown(&reference.identity)),
            };
            // With a list of paths that disagree and nothing that decides, no disk is the right one.
            let undecided = self.crew.context.request.lists_all_paths && !reference.decides;
            warn!(target: ISCSI, "{}", error.describe());
            let target = path.target.clone();
            if let Err(left) = path::take_down(&self.crew.context, path) {
                warn!(target: ISCSI, "{target}: {}", left.describe());
            }
            if undecided {
                return Err(error);
            }
            self.failures.push((target, error));
        }
        Ok(())
    }

    fn reference(&self) -> Option<Reference> {
        let request = &self.crew.context.request;
        let named = request.named.as_ref();
        let exactly = self.found.iter().find(|path| Some(&path.target) == named);
        let same_target = || self.found.iter().find(|path| named.is_some_and(|named| named.iqn == path.target.iqn));
        let any = || request.lists_all_paths.then(|| self.found.first()).flatten();
        let path = exactly.or_else(same_target).or_else(any)?;
        Some(Reference { identity: path.identity.clone(), decides: exactly.is_some() })
    }

    fn disks(&self) -> Vec<DeviceName> {
        self.found.iter().map(|path| path.disk.clone()).collect()
    }

    fn identity(&self) -> Option<Wwid> {
        self.reference().and_then(|reference| reference.identity)
    }

    fn look_for_map(&mut self, phases: &mut Phases) -> Result<()> {
        if self.usable_since.is_some() || self.reference().is_none() {
            return Ok(());
        }
        let (host, disks) = (self.crew.context.host.clone(), self.disks());
        if self.map.is_none() {
            self.map = multipath::find_map(&host, &disks);
            if let Some(map) = &self.map {
                debug!(target: ISCSI, "map {} is {}", map.name, map.device);
                phases.end("map");
            }
        }
        match &self.map {
            Some(map) => {
                if multipath::is_usable(&host, map).unwrap_or_else(|error| {
                    debug!(target: ISCSI, "{}", error.describe());
                    false
                }) {
                    phases.end("ready");
                    self.usable_since = Some(Instant::now());
                    self.crew.turn.open();
                }
            }
            None => self.help(&disks),
        }
        Ok(())
    }

    fn help(&mut self, disks: &[DeviceName]) {
        let Some(identity) = self.identity() else {
            return;
        };
        let host = &self.crew.context.host;
        self.formation.help(host, &identity, disks);
        if !self.insisted && self.first_disk.is_some_and(|since| since.elapsed() > INSIST) {
            self.insisted = true;
            self.formation.insist(host, &identity, disks);
        }
    }

    /// Whether the attach can return, or an error when it never will.
    fn is_enough(&mut self) -> Result<bool> {
        let pending = self.pending.iter().any(|pending| *pending);
        let worth_waiting = self.pending.iter().zip(&self.doubtful).any(|(pending, doubtful)| *pending && !doubtful);
        if let Some(since) = self.usable_since {
            return Ok(!worth_waiting || since.elapsed() >= self.crew.context.settings.portal_grace_period);
        }
        if pending {
            return Ok(false);
        }
        if self.found.is_empty() || self.reference().is_none() {
            return Err(self.nothing_found());
        }
        if self.all_done.is_none_or(|since| since.elapsed() < UDEV_BACKLOG) && !self.is_seen_by_multipathd() {
            // Not multipathd's turn yet.
            self.all_done.get_or_insert_with(Instant::now);
            return Ok(false);
        }
        let since = *self.seen.get_or_insert_with(Instant::now);
        let patience = match self.map {
            Some(_) => self.crew.context.settings.map_ready_timeout.max(NO_MAP),
            None => NO_MAP,
        };
        if since.elapsed() < patience {
            return Ok(false);
        }
        match &self.map {
            Some(map) => Err(Error::Timeout {
                what: format!("the multipath map {} ({}) becoming ready for I/O", map.name, map.device),
                after: since.elapsed(),
            }),
            None => {
                warn!(target: ISCSI, "No dm was created, connection to volume is probably bad and will perform poorly.");
                Ok(true)
            }
        }
    }

    /// Without an answer there is nothing to wait for.
    fn is_seen_by_multipathd(&self) -> bool {
        self.seen.is_some()
            || multipathd::paths(&self.crew.context.host)
                .map_or(true, |paths| self.found.iter().any(|path| paths.contains_key(&path.disk)))
    }

    fn nothing_found(&self) -> Error {
        let lost = self.failures.iter().find(|(_, error)| matches!(error, Error::SessionLost { .. }));
        if let Some((_, error)) = lost {
            return error.clone();
        }
        let wrong = self.failures.iter().find(|(_, error)| matches!(error, Error::WrongIdentity { .. }));
        if let (Some((_, error)), true) = (wrong, self.failures.len() == 1) {
            return error.clone();
        }
        let reasons: Vec<String> =
            self.failures.iter().map(|(target, error)| format!("{target}: {}", error.describe())).collect();
        Error::DeviceNotFound { device: String::new(), reason: reasons.join("; ") }
    }

    /// Closes the books: who is late joins alone, portals that failed are tried again for a while.
    fn finish(mut self) -> Outcome {
        let outcome = Outcome { disks: self.disks(), identity: self.identity(), map: self.map.clone() };
        let volume = Volume { identity: outcome.identity.clone(), disks: outcome.disks.clone() };
        let late = {
            let Ok(mut inbox) = self.crew.inbox.lock() else {
                return outcome;
            };
            inbox.closed = true;
            let late = std::mem::take(&mut inbox.news);
            late.iter().for_each(|(index, _)| self.pending[*index] = false);
            // Before the volume is named: from then on a path gives up when somebody holds the volume's intent.
            self.pass_on_locks();
            let _ = self.crew.volume.set(volume.clone());
            late
        };
        let on_their_way = self.pending.iter().filter(|pending| **pending).count();
        if on_their_way > 0 {
            info!(target: ISCSI, "{on_their_way} more path(s) are on their way");
        }
        for (index, result) in late {
            join::settle(&self.crew.context, &volume, &self.targets[index], result);
        }
        for (target, error) in &self.failures {
            join::retry_later(&self.crew.context, &volume, target, error);
        }
        outcome
    }

    /// Paths still on their way keep sharing the locks; without such paths nobody needs them any more.
    fn pass_on_locks(&self) {
        let Ok(mut kept) = self.crew.operation.lock() else {
            return;
        };
        if !self.pending.contains(&true) {
            *kept = None;
        } else if let Some(operation) = kept.as_mut()
            && let Err(error) = operation.hand_over()
        {
            warn!(target: ISCSI, "{}", error.describe());
        }
    }

    /// The attach failed: stop the threads and take away what they made.
    fn wind_up(mut self) {
        self.crew.abort.store(true, Ordering::Release);
        self.crew.turn.open();
        let deadline = Instant::now() + WIND_UP;
        while self.pending.contains(&true) && Instant::now() < deadline {
            for (index, outcome) in self.crew.wait_for_news(Duration::from_millis(250)) {
                self.pending[index] = false;
                self.found.extend(outcome.ok());
            }
        }
        if let Ok(mut inbox) = self.crew.inbox.lock() {
            inbox.closed = true;
        }
        for path in std::mem::take(&mut self.found) {
            if !path.fresh && !path.session.made {
                continue;
            }
            if let Err(error) = path::take_down(&self.crew.context, path) {
                warn!(target: ISCSI, "left behind by the failed attach: {}", error.describe());
            }
        }
    }
}

struct Reference {
    identity: Option<Wwid>,
    /// Whether it comes from exactly the path the properties name.
    decides: bool,
}
