//! All paths of a multipathed volume at once, until there is a map I/O can enter.
//!
//! One thread for each path; this one collects what they bring, helps multipathd, and decides when it is enough.  A
//! path that is still on its way when the attach returns goes on alone (`join`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::devices::map_watch::MapWatch;
use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::wait::Pace;
use crate::identifiers::{DeviceName, Wwid};
use crate::log::{ISCSI, Phases};
use crate::transports::first_maps::FirstMap;
use crate::transports::locks::Operation;
use crate::transports::portals;

use super::crew::{self, Crew};
use super::join::{self, Volume};
use super::operation::Context;
use super::outcome::Outcome;
use super::path::{self, Path};
use super::request::Target;

/// How long threads have to notice that the attach failed; a login takes up to 17 s.
const WIND_UP: Duration = Duration::from_secs(20);

struct Coordinator {
    crew: Arc<Crew>,
    targets: Vec<Target>,
    /// Targets whose portals failed lately: nobody waits for them.
    doubtful: Vec<bool>,
    pending: Vec<bool>,
    found: Vec<Path>,
    failures: Vec<(Target, Error)>,
    watch: MapWatch,
    /// Whether a disk has been found yet.
    has_begun: bool,
    /// From the first disk on until its map is usable.
    first_map: Option<FirstMap>,
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
        watch: MapWatch::default(),
        has_begun: false,
        first_map: None,
    };
    coordinator.start()?;
    match coordinator.run(phases).and_then(|()| coordinator.outcome().check_expected(&coordinator.crew.context)) {
        Ok(()) => Ok(coordinator.finish(phases)),
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
            self.look_for_map(phases);
            if self.is_enough()? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, index: usize, outcome: Result<Path>, phases: &mut Phases) {
        let target = &self.targets[index];
        match outcome {
            Ok(path) => {
                phases.note(format!("login {}", target.portal), path.times.login);
                // The steps after the login are told of the path that is there first.
                if !std::mem::replace(&mut self.has_begun, true) {
                    phases.note("device", path.times.device);
                    phases.note("identity", path.times.identity);
                    phases.go_on();
                    self.first_map = Some(FirstMap::awaited(&self.crew.context.host.root));
                }
                debug!(target: ISCSI, "{target} is {}", path.disk);
                portals::forget_failed(&target.portal);
                self.found.push(path);
            }
            Err(error) => {
                warn!(target: ISCSI, "no path through {target}: {}", error.describe());
                // Whoever waits for the first path's map need not any longer.
                self.first_map = None;
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
        let request = &self.crew.context.request;
        // Discovery tries targets of other volumes, too: a disk that shows no identity proves nothing.
        let may_be_it = |path: &Path| {
            path.identity.is_some()
                || request.lists_all_paths
                || request.named.as_ref().is_some_and(|named| named.iqn == path.target.iqn)
        };
        let belongs = |path: &Path| path.identity == reference.identity && may_be_it(path);
        let (keep, foreign): (Vec<Path>, Vec<Path>) = std::mem::take(&mut self.found).into_iter().partition(belongs);
        self.found = keep;
        if !foreign.is_empty() {
            // The map that was found may be theirs.
            self.watch = MapWatch::default();
        }
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

    fn look_for_map(&mut self, phases: &mut Phases) {
        let host = &self.crew.context.host;
        let (had_map, was_usable) = (self.watch.map().is_some(), self.watch.usable_since().is_some());
        // Without a path that tells what the volume is, every map may be another's.
        let disks = if self.reference().is_some() { self.disks() } else { Vec::new() };
        self.watch.look(host, &disks, self.identity().as_ref());
        if let (false, Some(map)) = (had_map, self.watch.map()) {
            debug!(target: ISCSI, "map {} is {}", map.name, map.device);
            phases.end("map");
        }
        if !was_usable && self.watch.usable_since().is_some() {
            phases.end("ready");
            self.first_map = None;
            self.crew.turn.open();
        }
    }

    /// Whether the attach can return, or an error when it never will.
    fn is_enough(&mut self) -> Result<bool> {
        let pending = self.pending.iter().any(|pending| *pending);
        let worth_waiting = self.pending.iter().zip(&self.doubtful).any(|(pending, doubtful)| *pending && !doubtful);
        if let Some(since) = self.watch.usable_since() {
            return Ok(!worth_waiting || since.elapsed() >= self.crew.context.settings.portal_grace_period);
        }
        if pending {
            return Ok(false);
        }
        if self.found.is_empty() || self.reference().is_none() {
            return Err(self.nothing_found());
        }
        let (host, disks) = (self.crew.context.host.clone(), self.disks());
        let hopeless = self.watch.is_hopeless(&host, &disks, self.crew.context.settings.map_ready_timeout)?;
        if hopeless {
            warn!(target: ISCSI, "No dm was created, connection to volume is probably bad and will perform poorly.");
        }
        Ok(hopeless)
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

    fn outcome(&self) -> Outcome {
        Outcome { disks: self.disks(), identity: self.identity(), map: self.watch.map().cloned() }
    }

    /// Closes the books: who is late joins alone, portals that failed are tried again for a while.
    fn finish(mut self, phases: &mut Phases) -> Outcome {
        let outcome = self.outcome();
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
        for (target, _) in self.targets.iter().zip(&self.pending).filter(|(_, pending)| **pending) {
            phases.miss(target, "on its way");
        }
        for (target, error) in &self.failures {
            phases.miss(target, &error.describe());
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
        self.first_map = None;
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
            if !path.is_of_this_attach() {
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
