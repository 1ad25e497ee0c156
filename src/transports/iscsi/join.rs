//! Paths that come after the attach has returned.
//!
//! A portal that was dead is tried again for two minutes while the volume is attached.  Every step asks first whether
//! the volume is being detached or attached anew, and then leaves nothing behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{debug, info};

use crate::devices::multipath;
use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::programs::iscsiadm;
use crate::host::view::{block, scsi};
use crate::host::{Host, wait};
use crate::identifiers::{DeviceName, Wwid};
use crate::log::ISCSI;
use crate::transports::portals;

use super::operation::Context;
use super::path::{self, Path, Stop};
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

/// The volume late paths belong to.
#[derive(Debug, Clone)]
pub struct Volume {
    pub identity: Option<Wwid>,
    pub disks: Vec<DeviceName>,
}

impl Volume {
    /// Whether one of the disks the attach returned is still there and still the volume.
    fn is_attached(&self, host: &Host) -> bool {
        self.disks.iter().any(|disk| block::exists(&host.root, disk) && scsi::wwid(&host.root, disk) == self.identity)
    }
}

/// Takes in what a late path brought.
pub fn settle(context: &Context, volume: &Volume, target: &Target, outcome: Result<Path>) {
    match outcome {
        Ok(path) if path.identity == volume.identity => {
            portals::forget_failed(&target.portal);
            info!(target: ISCSI, "{target} joined the volume as {}", path.disk);
            multipath::offer(&context.host, &path.disk);
        }
        Ok(path) => {
            if let Err(error) = path::take_down(context, path) {
                debug!(target: ISCSI, "{target}: {}", error.describe());
            }
        }
        Err(error) => {
            info!(target: ISCSI, "no path through {target}: {}", error.describe());
            retry_later(context, volume, target, &error);
        }
    }
}

/// Remembers a portal that failed and goes on trying it, if trying can help.
pub fn retry_later(context: &Context, volume: &Volume, target: &Target, error: &Error) {
    let hopeless =
        matches!(error, Error::WrongIdentity { .. } | Error::Cancelled { .. }) || iscsiadm::is_auth_failure(error);
    if hopeless {
        return;
    }
    portals::remember_failed(&target.portal);
    let context = Context::new(&context.host, context.request.clone(), context.settings.clone());
    let (volume, target) = (volume.clone(), target.clone());
    if let Err(error) = fan_out::detach("late", move || keep_trying(&context, &volume, &target)) {
        debug!(target: ISCSI, "{error}");
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

fn keep_trying(context: &Context, volume: &Volume, target: &Target) {
    let deadline = Instant::now() + TRIES;
    while Instant::now() < deadline {
        let stopped = wait::until_true(Instant::now() + BETWEEN_TRIES, || NotClaimed(context).check().is_err());
        if stopped || !volume.is_attached(&context.host) {
            return;
        }
        if portals::ask(&target.portal, ANSWER).is_err() {
            continue;
        }
        match try_once(context, volume, target) {
            Ok(true) => return,
            Ok(false) => {}
            Err(Error::Cancelled { .. }) => return,
            Err(error) => debug!(target: ISCSI, "{target}: {}", error.describe()),
        }
    }
}

/// True when the path is in, or when there is nothing to join any more.
fn try_once(context: &Context, volume: &Volume, target: &Target) -> Result<bool> {
    let volumes = context.volumes();
    let Some(_operation) = context.locks.late_path(&volumes)? else {
        return Ok(false);
    };
    if !volume.is_attached(&context.host) {
        return Ok(true);
    }
    let path = path::bring_up(context, target, None, &NotClaimed(context))?;
    settle(context, volume, target, Ok(path));
    Ok(true)
}
