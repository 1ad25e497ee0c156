//! The paths to one namespace, until I/O can enter it.
//!
//! With native multipath one thread for each portal, all at once; this one collects what they bring and decides when it
//! is enough.  A path that is still on its way when the attach returns goes on alone (`join`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::view::nvme_controller::Controller;
use crate::host::wait::Pace;
use crate::identifiers::{DeviceName, FabricPortal};
use crate::log::NVMEOF;

use super::controller::{self, InUse};
use super::crew::{self, Claim, Crew};
use super::join;
use super::namespace::{self, Before};
use super::operation::Context;
use super::request::Target;

/// How long a namespace may be there without a path the storage serves, while it fails over.
const FAILOVER: Duration = Duration::from_secs(10);
/// How long what is new has to stay the same, and how long a live controller has to show the namespace too.
const SETTLED: Duration = Duration::from_millis(500);
/// How long threads have to notice that the attach failed; a target that is silent holds the kernel up for a minute.
const WIND_UP: Duration = Duration::from_secs(20);

/// What an attach of one target came to, and how to take it back while the attach of the whole volume may still fail.
pub struct Outcome {
    pub device: DeviceName,
    crew: Arc<Crew>,
    made: Vec<FabricPortal>,
    fresh: bool,
    failures: Vec<(FabricPortal, Error)>,
}

struct Coordinator {
    crew: Arc<Crew>,
    before: Before,
    /// Whether the volume was on the host before.
    was_there: bool,
    /// Portals that failed lately: nobody waits for them.
    doubtful: Vec<bool>,
    pending: Vec<bool>,
    paths: Vec<InUse>,
    failures: Vec<(FabricPortal, Error)>,
    first_path: Option<Instant>,
    usable: Option<(DeviceName, Instant)>,
    /// What is new, for a target without an identity, and since when nothing else is.
    new: Option<(DeviceName, Instant)>,
    scans: u32,
}

/// Attaches one target through all its portals, or through one.
pub fn connect(context: &Arc<Context>, target: &Target, claim: &Claim) -> Result<Outcome> {
    let count = target.portals.len();
    let mut coordinator = Coordinator {
        crew: Arc::new(Crew::new(context, target, claim)),
        before: Before::look(context, target),
        was_there: namespace::device(context, target, None).is_some(),
        doubtful: target.portals.iter().map(join::failed_lately).collect(),
        pending: vec![false; count],
        paths: Vec::new(),
        failures: Vec::new(),
        first_path: None,
        usable: None,
        new: None,
        scans: 0,
    };
    let done = if context.is_multipath() { coordinator.start_all() } else { coordinator.bring_up_one() };
    match done.and_then(|()| coordinator.run()) {
        Ok(device) => Ok(coordinator.finish(device)),
        Err(error) => {
            coordinator.wind_up();
            Err(error)
        }
    }
}

impl Coordinator {
    fn context(&self) -> &Context {
        &self.crew.context
    }

    fn start_all(&mut self) -> Result<()> {
        for (index, portal) in self.crew.target.portals.iter().enumerate() {
            let (crew, portal) = (Arc::clone(&self.crew), portal.clone());
            let started = fan_out::detach("path", move || crew::work(&crew, index, &portal));
            started.map_err(|error| Error::io("start a thread for", std::path::Path::new("a path"), &error))?;
            self.pending[index] = true;
        }
        Ok(())
    }

    /// One path: every controller that is live already, else the first portal that can be connected.  Portals that
    /// failed lately come last, those whose controller is being brought back by the kernel before them.
    fn bring_up_one(&mut self) -> Result<()> {
        let crew = Arc::clone(&self.crew);
        let root = &crew.context.host.root;
        let controllers: Vec<Option<Controller>> =
            crew.target.portals.iter().map(|portal| controller::present(&crew.context, &crew.target, portal)).collect();
        let live = |index: &usize| controllers[*index].as_ref().is_some_and(|controller| controller.is_live(root));
        let mut order: Vec<usize> = (0..controllers.len()).collect();
        order.sort_by_key(|index| (!live(index), controllers[*index].is_some(), self.doubtful[*index]));
        for index in order {
            if !self.paths.is_empty() && !live(&index) {
                break;
            }
            let outcome = controller::ensure(&crew.context, &crew.target, &crew.target.portals[index], crew.as_ref());
            self.take(index, outcome);
        }
        if self.paths.is_empty() { Err(self.nothing_found()) } else { Ok(()) }
    }

    fn run(&mut self) -> Result<DeviceName> {
        let mut pace = Pace::new();
        loop {
            let news = self.crew.wait_for_news(pace.next());
            if !news.is_empty() {
                pace.reset();
            }
            for (index, outcome) in news {
                self.pending[index] = false;
                self.take(index, outcome);
            }
            self.look()?;
            if let Some(device) = self.is_enough()? {
                return Ok(device);
            }
        }
    }

    fn take(&mut self, index: usize, outcome: Result<InUse>) {
        let portal = self.crew.target.portals[index].clone();
        match outcome {
            Ok(path) => {
                debug!(target: NVMEOF, "{portal} is {}", path.controller.name());
                join::forget_failed(&portal);
                self.first_path.get_or_insert_with(Instant::now);
                self.paths.push(path);
            }
            Err(error) => {
                warn!(target: NVMEOF, "no path to {} through {portal}: {}", self.crew.target.nqn, error.describe());
                self.failures.push((portal, error));
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let Some(since) = self.first_path else { return Ok(()) };
        if self.usable.is_some() {
            return Ok(());
        }
        let made: Vec<Controller> =
            self.paths.iter().filter(|path| path.made).map(|path| path.controller.clone()).collect();
        let found = namespace::find(self.context(), &self.crew.target, &self.before, &made)?;
        let settled = found.as_ref().is_some_and(|found| self.is_settled(&found.device));
        match found.filter(|_| settled) {
            Some(found) if found.accessible => self.usable = Some((found.device, Instant::now())),
            Some(found) if since.elapsed() > FAILOVER => {
                warn!(target: NVMEOF, "{} is attached, but the storage serves it on no path now", found.device);
                self.usable = Some((found.device, Instant::now()));
            }
            Some(_) => {}
            None => self.scan_again(since),
        }
        Ok(())
    }

    /// Without an identity another namespace may be about to appear, and then nothing tells which is the volume.
    fn is_settled(&mut self, device: &DeviceName) -> bool {
        if self.crew.target.identity.is_some() {
            return true;
        }
        match &self.new {
            Some((known, since)) if known == device => since.elapsed() >= SETTLED,
            _ => {
                self.new = Some((device.clone(), Instant::now()));
                false
            }
        }
    }

    /// Whether every live controller has had the time to show the namespace.
    fn is_shown(&self, device: &DeviceName, since: Instant) -> bool {
        let root = &self.context().host.root;
        since.elapsed() >= SETTLED
            || self.paths.iter().all(|path| path.controller.paths(root).iter().any(|path| path.device == *device))
    }

    /// Has the controllers look again after 1, 3, 7, 15 ... seconds: the storage may be slow to map the volume.
    fn scan_again(&mut self, since: Instant) {
        if since.elapsed() < scan_due(self.scans) || self.scans >= self.context().settings.device_scan_attempts {
            return;
        }
        self.scans += 1;
        for path in &self.paths {
            if let Err(error) = controller::rescan(&self.context().host, &path.controller) {
                debug!(target: NVMEOF, "{}: {}", path.controller.name(), error.describe());
            }
        }
    }

    /// The device once the attach can return, or an error when it never will.
    fn is_enough(&self) -> Result<Option<DeviceName>> {
        let pending = self.pending.contains(&true);
        let worth_waiting = self.pending.iter().zip(&self.doubtful).any(|(pending, doubtful)| *pending && !doubtful);
        if let Some((device, since)) = &self.usable {
            let enough = (!worth_waiting && self.is_shown(device, *since))
                || since.elapsed() >= self.context().settings.portal_grace_period;
            return Ok(enough.then(|| device.clone()));
        }
        match self.first_path {
            None if pending => Ok(None),
            None => Err(self.nothing_found()),
            Some(since) if since.elapsed() < scan_due(self.context().settings.device_scan_attempts) => Ok(None),
            Some(since) => Err(Error::DeviceNotFound {
                device: self.crew.target.to_string(),
                reason: format!(
                    "{} does not show it {:.0} s after it was live",
                    self.paths.iter().map(|path| path.controller.name()).collect::<Vec<_>>().join(", "),
                    since.elapsed().as_secs_f64()
                ),
            }),
        }
    }

    fn nothing_found(&self) -> Error {
        let failures: Vec<String> =
            self.failures.iter().map(|(portal, error)| format!("{portal}: {}", error.describe())).collect();
        Error::DeviceNotFound { device: self.crew.target.nqn.to_string(), reason: failures.join("; ") }
    }

    fn finish(self, device: DeviceName) -> Outcome {
        Outcome {
            device,
            made: self.paths.iter().filter(|path| path.made).map(|path| path.portal.clone()).collect(),
            fresh: !self.was_there,
            failures: self.failures,
            crew: self.crew,
        }
    }

    /// The attach failed: stop the threads and take away what they made.
    fn wind_up(mut self) {
        self.crew.abort();
        let deadline = Instant::now() + WIND_UP;
        while self.pending.contains(&true) && Instant::now() < deadline {
            for (index, outcome) in self.crew.wait_for_news(Duration::from_millis(250)) {
                self.pending[index] = false;
                self.paths.extend(outcome.ok());
            }
        }
        self.paths.extend(self.crew.close().into_iter().filter_map(|(_, outcome)| outcome.ok()));
        let made: Vec<FabricPortal> =
            std::mem::take(&mut self.paths).into_iter().filter(|path| path.made).map(|path| path.portal).collect();
        let ours = namespace::device(self.context(), &self.crew.target, None).filter(|_| !self.was_there);
        take_back(&self.crew, &made, ours.as_ref());
    }
}

/// Seconds after the first path when the next look is due: 1, 3, 7, 15 ...
fn scan_due(scans: u32) -> Duration {
    Duration::from_secs((2_u64 << scans.min(16)) - 1)
}

fn take_back(crew: &Crew, made: &[FabricPortal], ours: Option<&DeviceName>) {
    for portal in made {
        if let Err(error) = controller::release(&crew.context, &crew.target, portal, ours) {
            warn!(target: NVMEOF, "left behind by the failed attach: {portal}: {}", error.describe());
        }
    }
}

impl Outcome {
    /// The volume is attached: what is still on its way goes on alone.
    pub fn settle(self) {
        let _ = self.crew.device.set(self.device.clone());
        for (index, outcome) in self.crew.close() {
            join::settle(&self.crew, &self.device, &self.crew.target.portals[index], outcome);
        }
        if self.crew.context.is_multipath() {
            for (portal, error) in &self.failures {
                join::retry_later(&self.crew.context, &self.crew.target, &self.device, portal, error);
            }
        } else {
            self.failures.iter().for_each(|(portal, _)| join::remember_failed(portal));
        }
    }

    /// The attach of the whole volume failed.
    pub fn take_back(self) {
        self.crew.abort();
        let last = self.crew.close().into_iter().filter_map(|(_, outcome)| outcome.ok());
        let last = last.filter(|path| path.made).map(|path| path.portal);
        let made: Vec<FabricPortal> = self.made.iter().cloned().chain(last).collect();
        let ours = Some(&self.device).filter(|_| self.fresh);
        take_back(&self.crew, &made, ours);
    }
}
