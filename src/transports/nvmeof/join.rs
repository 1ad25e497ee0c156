//! Paths that come after the attach has returned.
//!
//! A portal that was dead is tried again for two minutes while the volume is attached.  Every step asks first whether
//! the volume is being detached or attached anew, and then leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{debug, info};

use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::wait;
use crate::identifiers::{DeviceName, Fabric, FabricPortal};
use crate::log::NVMEOF;
use crate::transports::portals;

use super::controller::{self, InUse, Stop};
use super::crew::Crew;
use super::namespace;
use super::operation::Context;
use super::request::Target;

/// How long a dead portal is tried again.
const TRIES: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(1);

static STOPPED: AtomicBool = AtomicBool::new(false);

/// No late path begins anything any more: the process ends.
pub fn stop() {
    STOPPED.store(true, Ordering::Release);
}

pub fn is_stopped() -> bool {
    STOPPED.load(Ordering::Acquire)
}

pub fn remember_failed(portal: &FabricPortal) {
    if let Some(ip) = portal.ip() {
        portals::remember_failed(ip);
    }
}

pub fn forget_failed(portal: &FabricPortal) {
    if let Some(ip) = portal.ip() {
        portals::forget_failed(ip);
    }
}

pub fn failed_lately(portal: &FabricPortal) -> bool {
    portal.ip().is_some_and(portals::failed_lately)
}

/// Takes in what a late path brought.
pub fn settle(crew: &Arc<Crew>, device: &DeviceName, portal: &FabricPortal, outcome: Result<InUse>) {
    match outcome {
        Ok(path) => {
            forget_failed(portal);
            info!(target: NVMEOF, "{} ({portal}) joined {device} late", path.controller.name());
        }
        Err(error) => {
            info!(target: NVMEOF, "no path through {portal}: {}", error.describe());
            retry_later(&crew.context, &crew.target, device, portal, &error);
        }
    }
}

/// Takes a path away that nobody waits for any more.
pub fn take_down(context: &Context, target: &Target, outcome: Result<InUse>) {
    let Ok(path) = outcome else { return };
    let (portal, made) = (path.portal.clone(), path.made);
    // Its own share of the controller would keep it.
    drop(path);
    if !made {
        return;
    }
    if let Err(error) = controller::release(context, target, &portal, None) {
        debug!(target: NVMEOF, "{portal}: {}", error.describe());
    }
}

/// Remembers a portal that failed and goes on trying it, if trying can help.
pub fn retry_later(context: &Context, target: &Target, device: &DeviceName, portal: &FabricPortal, error: &Error) {
    if matches!(error, Error::Cancelled { .. }) {
        return;
    }
    remember_failed(portal);
    // Without a question that costs nothing the kernel would be kept busy with a portal that is dead.
    if portal.fabric() != Fabric::Tcp || !context.host.runner.is_direct() {
        return;
    }
    let context = Context::new(&context.host, context.request.clone(), context.settings.clone());
    let (target, device, portal) = (target.clone(), device.clone(), portal.clone());
    if let Err(error) = fan_out::detach("late", move || keep_trying(&context, &target, &device, &portal)) {
        debug!(target: NVMEOF, "{error}");
    }
}

struct NotClaimed<'a>(&'a Context);

impl Stop for NotClaimed<'_> {
    fn check(&self) -> Result<()> {
        if is_stopped() || self.0.locks.is_claimed(&self.0.volumes())? {
            return Err(Error::Cancelled { reason: "the volume is being detached or attached again".to_owned() });
        }
        Ok(())
    }
}

fn keep_trying(context: &Context, target: &Target, device: &DeviceName, portal: &FabricPortal) {
    let deadline = Instant::now() + TRIES;
    while Instant::now() < deadline {
        let stopped = wait::until_true(Instant::now() + BETWEEN_TRIES, || NotClaimed(context).check().is_err());
        if stopped || !is_attached(context, target, device) {
            return;
        }
        if portal.ip().is_none_or(|ip| portals::ask(ip, ANSWER).is_err()) {
            continue;
        }
        match try_once(context, target, device, portal) {
            Ok(()) | Err(Error::Cancelled { .. }) => return,
            Err(error) => debug!(target: NVMEOF, "{portal}: {}", error.describe()),
        }
    }
}

/// Whether the device the attach returned is still behind the target's controllers.
fn is_attached(context: &Context, target: &Target, device: &DeviceName) -> bool {
    namespace::device(context, target, Some(device)).as_ref() == Some(device)
}

fn try_once(context: &Context, target: &Target, device: &DeviceName, portal: &FabricPortal) -> Result<()> {
    let cancelled = || Error::Cancelled { reason: "the volume is being detached or attached again".to_owned() };
    let _operation = context.locks.late_path(&context.volumes())?.ok_or_else(cancelled)?;
    if !is_attached(context, target, device) {
        return Ok(());
    }
    let path = controller::ensure(context, target, portal, &NotClaimed(context))?;
    forget_failed(portal);
    info!(target: NVMEOF, "{} ({portal}) joined {device} late", path.controller.name());
    Ok(())
}
