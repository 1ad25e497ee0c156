//! Whether anybody is behind a controller, and the end of those that stayed at a detach because somebody was.
//!
//! The storage unmaps a namespace when its detach has returned.  So of several last detaches each may see the others'
//! namespaces, and the controller is vacant only afterwards: until then it is watched.  What decides is what is there,
//! never who was: a namespace that is shown may be used by somebody who told nobody.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::act::bounded;
use crate::host::act::lock::{self, Mode, Place};
use crate::host::view::nvme_controller::Controller;
use crate::host::view::nvme_identify;
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, FabricPortal};
use crate::log::NVMEOF;
use crate::transports::locks::Locks;

use super::controller;
use super::join;
use super::operation::Context;
use super::request::Target;

/// How long the storage has to unmap a volume after its detach; services that are busy take a minute.
const WATCH: Duration = Duration::from_secs(300);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// An Identify command ends after 10 s; it is not begun while a connection is brought back.
const ANSWER: Duration = Duration::from_secs(15);

/// A namespace other than `ours` the controller leads to.  One the storage has unmapped is none, also when the host was
/// not told yet.
pub fn other_namespace(host: &Host, controller: &Controller, ours: Option<&DeviceName>) -> Option<DeviceName> {
    let root = &host.root;
    let others = controller.paths(root).into_iter().filter(|path| Some(&path.device) != ours);
    let is_active = |nsid: u32| match next_active(host, controller, nsid - 1) {
        Ok(next) => next == Some(nsid),
        Err(error) => {
            debug!(target: NVMEOF, "{} is not asked: {}", controller.name(), error.describe());
            true
        }
    };
    let mut served = others.filter(|path| path.nsid(root).filter(|nsid| *nsid > 0).is_none_or(is_active));
    served.next().map(|path| path.device)
}

/// The first namespace above a number the storage has for this host now.  The kernel shows what it read last.
fn next_active(host: &Host, controller: &Controller, above: u32) -> Result<Option<u32>> {
    let unknown = |reason: &str| Error::DeviceNotFound { device: controller.name(), reason: reason.to_owned() };
    if !host.runner.is_direct() || !controller.is_live(&host.root) {
        return Err(unknown("it takes no commands"));
    }
    let (runner, device) = (host.runner.clone(), controller.dev_path());
    let what = format!("the answer of {}", controller.name());
    let answer = bounded::within(&what, ANSWER, move || runner.nvme_identify(&device, above, nvme_identify::ACTIVE))?;
    answer.map(|answer| nvme_identify::lowest(&answer)).ok_or_else(|| unknown("it has no list of namespaces"))
}

/// A controller that stayed.
#[derive(Clone)]
struct Watched {
    serial: u64,
    host: Host,
    locks: Locks,
    place: Place,
    nqn: String,
    portal: FabricPortal,
    controller: Controller,
    /// The devices of the volumes that were detached.
    left: Vec<DeviceName>,
    until: Instant,
}

/// All of this process; one thread looks at them as long as there are any.
static ALL: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Disconnects a controller that stays when nobody is behind it any more.
pub fn watch(
    context: &Context,
    target: &Target,
    portal: &FabricPortal,
    controller: &Controller,
    ours: Option<&DeviceName>,
) {
    // A caller's `execute` is called while the caller waits, never afterwards.
    if !context.host.runner.is_direct() {
        return;
    }
    let watched = Watched {
        serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        host: context.host.clone(),
        locks: context.locks.clone(),
        place: context.connection(target, portal),
        nqn: target.nqn.to_string(),
        portal: portal.clone(),
        controller: controller.clone(),
        left: ours.into_iter().cloned().collect(),
        until: Instant::now() + WATCH,
    };
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let idle = all.is_empty();
    watched.put_in(&mut all);
    if idle && let Err(error) = fan_out::detach("vacancy", look_at_all) {
        warn!(target: NVMEOF, "{} is not watched: {error}", controller.name());
        all.clear();
    }
}

fn look_at_all() {
    // What was said of each, to say it once.
    let mut said: HashMap<u64, String> = HashMap::new();
    loop {
        let stopped = wait::until_true(Instant::now() + BETWEEN_LOOKS, join::is_stopped);
        // Not under the lock: a controller may take long to go, and detaches go on.
        let watched = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut over = Vec::new();
        for one in &watched {
            let look =
                if stopped { Look::Over("is left to the next detach".to_owned()) } else { one.look_or_give_up() };
            if said.get(&one.serial).map(String::as_str) != Some(look.why()) {
                debug!(target: NVMEOF, "{one} {}", look.why());
                said.insert(one.serial, look.why().to_owned());
            }
            if matches!(look, Look::Over(_)) {
                over.push(one.serial);
            }
        }
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !over.contains(&one.serial));
        if all.is_empty() {
            return;
        }
    }
}

/// What a look came to, and why.
enum Look {
    Over(String),
    Wait(String),
}

impl Look {
    fn why(&self) -> &str {
        match self {
            Look::Over(why) | Look::Wait(why) => why,
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} of {})", self.controller.name(), self.portal, self.nqn)
    }
}

impl Watched {
    /// Several volumes of one controller are watched as one.
    fn put_in(mut self, all: &mut Vec<Watched>) {
        let same = |known: &Watched| known.place.order() == self.place.order() && known.controller == self.controller;
        if let Some(index) = all.iter().position(same) {
            let known = all.swap_remove(index);
            self.left.extend(known.left);
            self.left.sort();
            self.left.dedup();
        }
        all.push(self);
    }

    fn look_or_give_up(&self) -> Look {
        // A panic must not end the thread: the others would be watched by nobody.
        let look = fan_out::contained(|| self.look()).unwrap_or_else(|error| Look::Wait(error.describe()));
        if matches!(look, Look::Wait(_)) && Instant::now() > self.until {
            info!(target: NVMEOF, "{self} stays: it {}", look.why());
            return Look::Over("is left to the next detach".to_owned());
        }
        look
    }

    fn look(&self) -> Result<Look> {
        if !self.is_there() {
            return Ok(Look::Over("has gone".to_owned()));
        }
        let shown = self.shown();
        let (left, others): (Vec<_>, Vec<_>) = shown.iter().partition(|device| self.left.contains(device));
        match (left.first(), others.first()) {
            (None, None) => self.end(),
            // Their own detach sees to it.
            (None, Some(other)) => Ok(Look::Over(format!("leads to {other} alone"))),
            // What the storage has unmapped without a word goes when the kernel looks.
            (Some(left), _) if matches!(next_active(&self.host, &self.controller, 0), Ok(None)) => {
                controller::rescan(&self.host, &self.controller)?;
                Ok(Look::Wait(format!("still shows {left}, and is told to look")))
            }
            (Some(left), _) => Ok(Look::Wait(format!("leads to {left}, which was detached"))),
        }
    }

    fn shown(&self) -> Vec<DeviceName> {
        self.controller.paths(&self.host.root).into_iter().map(|path| path.device).collect()
    }

    /// The number is another controller's when this one has gone.
    fn is_there(&self) -> bool {
        let root = &self.host.root;
        self.controller.subsystem(root).as_deref() == Some(self.nqn.as_str())
            && self.controller.portal(root).as_ref() == Some(&self.portal)
    }

    fn end(&self) -> Result<Look> {
        let in_the_way = |who: &str| Ok(Look::Wait(format!("leads to nothing, but {who}")));
        let Some(_others) = self.locks.beside_others()? else { return in_the_way("another os-brick is at work") };
        let Some(_held) = lock::try_acquire(&self.place, Mode::Exclusive)? else { return in_the_way("is in use") };
        // The kernel may not know yet of a namespace that has just been mapped.
        let is_vacant = self.shown().is_empty() && !matches!(next_active(&self.host, &self.controller, 0), Ok(Some(_)));
        if !is_vacant || !self.is_there() {
            return in_the_way("that has just changed");
        }
        info!(target: NVMEOF, "disconnecting {}, which leads to nothing any more", self.controller.name());
        controller::disconnect(&self.host, &self.controller)?;
        Ok(Look::Over("is disconnected".to_owned()))
    }
}
