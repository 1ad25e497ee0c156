//! One path of a volume: portal, session, scan, disk, identity.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use log::{debug, info};

use crate::devices::identify::{self, Verdict};
use crate::devices::nameless;
use crate::devices::remove::{self, Collected, Removal, Used};
use crate::error::{Error, Result};
use crate::host::act::bounded;
use crate::host::view::iscsi_session::Session;
use crate::host::view::scsi;
use crate::host::wait::{self, Pace};
use crate::identifiers::{DeviceName, Wwid};
use crate::log::ISCSI;
use crate::transports::{first_maps, portals};

use super::operation::Context;
use super::request::Target;
use super::session::{self, InUse};

/// The kernel probes the LUN while the scan is written; a target that hangs holds it up.
const SCAN: Duration = Duration::from_secs(60);
/// Seconds from one scan to the next, as upstream paces them: 4, 9, 16 ...
fn pause_after(scans: u32) -> Duration {
    Duration::from_secs(u64::from(scans + 1).pow(2))
}

/// A path that is up.
pub struct Path {
    pub target: Target,
    pub disk: DeviceName,
    pub identity: Option<Wwid>,
    /// Whether the disk was not on the host before this attach.
    pub fresh: bool,
    pub session: InUse,
    pub times: Times,
}

/// How long the steps of a path took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Until there was a session: the portal's answer, the record, the login.
    pub login: Duration,
    pub device: Duration,
    pub identity: Duration,
}

impl Path {
    /// Whether anything of it was made by this attach, and goes when the attach fails.
    pub fn is_of_this_attach(&self) -> bool {
        self.fresh || self.session.made
    }
}

/// Lets the paths after the first wait until the first one's disk has become a map: udev's work for each disk would
/// otherwise come before the work for the map.
#[derive(Default)]
pub struct Turn {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    taken: bool,
    open: bool,
}

impl Turn {
    /// Waits for the turn to scan: at once for the first, then until opened, at most `patience`.  True for the first.
    fn wait(&self, patience: Duration) -> bool {
        let Ok(mut state) = self.state.lock() else {
            return true;
        };
        if !state.taken {
            state.taken = true;
            return true;
        }
        let _ = self.changed.wait_timeout_while(state, patience, |state| !state.open);
        false
    }

    pub fn open(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.open = true;
        }
        self.changed.notify_all();
    }
}

/// What stops a path that is on its way.
pub trait Stop: Sync {
    fn check(&self) -> Result<()>;
}

/// Brings one path up.  On failure nothing of it stays.
pub fn bring_up(context: &Context, target: &Target, turn: Option<&Turn>, stop: &dyn Stop) -> Result<Path> {
    let begun = Instant::now();
    let session = reach(context, target, stop)?;
    let login = begun.elapsed();
    let (made, of_session) = (session.made, session.session.clone());
    let mut already = present(context, &of_session, target);
    let outcome = find_disk(context, target, session, &mut already, turn, stop);
    if outcome.is_err() {
        undo(context, target, &of_session, already.as_ref(), made);
    }
    outcome.map(|path| Path { times: Times { login, ..path.times }, ..path })
}

/// Takes back what a path left that did not come up.
fn undo(context: &Context, target: &Target, session: &Session, already: Option<&DeviceName>, made: bool) {
    let step = |result: Result<()>| {
        if let Err(error) = result {
            debug!(target: ISCSI, "{target}: {}", error.describe());
        }
    };
    // The disk may have appeared after the last look, or be about to.
    step(nameless::settle(&context.host, || session.addresses_with_lun(&context.host.root, target.lun.kernel())));
    if let Some(disk) = present(context, session, target)
        && already != Some(&disk)
    {
        let removal = Removal { disks: &[disk], used: Used::Nothing, force: true };
        step(remove::remove(&context.host, &removal, &mut Collected::new(true)));
    }
    if made {
        // The session's lock went with the path; whoever took it meanwhile keeps the session.
        step(session::release(context, target));
    }
}

/// A session, after the portal was seen to answer.
pub fn reach(context: &Context, target: &Target, stop: &dyn Stop) -> Result<InUse> {
    stop.check()?;
    let known = crate::host::view::iscsi_session::of_portal(&context.host.root, &target.portal, &target.iqn);
    if known.is_empty() && context.reaches_portals_by_tcp() && context.host.runner.is_direct() {
        portals::wait_for_answer(&target.portal, &|| stop.check())?;
    }
    stop.check()?;
    session::ensure(context, target)
}

/// `already` is the disk that was there before; a leftover that is removed is not any more.
fn find_disk(
    context: &Context,
    target: &Target,
    session: InUse,
    already: &mut Option<DeviceName>,
    turn: Option<&Turn>,
    stop: &dyn Stop,
) -> Result<Path> {
    let mut fresh = true;
    let begun = Instant::now();
    if let Some(disk) = already.clone() {
        match accept(context, &disk)? {
            Some(identity) => {
                fresh = false;
                let times = Times { identity: begun.elapsed(), ..Times::default() };
                if let Some(turn) = turn {
                    let _ = turn.wait(Duration::ZERO);
                }
                return Ok(Path { target: target.clone(), disk, identity, fresh, session, times });
            }
            None => {
                debug!(target: ISCSI, "{target}: the leftover {disk} is gone");
                *already = None;
            }
        }
    }
    let begun = Instant::now();
    if turn.is_some_and(|turn| !turn.wait(first_maps::PATIENCE)) {
        wait_for_other_volumes(context, begun + first_maps::PATIENCE, stop)?;
    }
    let begun = Instant::now();
    let disk = scan_until_found(context, target, &session.session, stop)?;
    let (device, found) = (begun.elapsed(), Instant::now());
    let identity = identify::identity(&context.host, &disk);
    let times = Times { device, identity: found.elapsed(), ..Times::default() };
    Ok(Path { target: target.clone(), disk, identity, fresh, session, times })
}

/// Until every volume that is being attached has its first map, or it is time to go on without.
fn wait_for_other_volumes(context: &Context, deadline: Instant, stop: &dyn Stop) -> Result<()> {
    let root = &context.host.root;
    wait::until(deadline, || {
        stop.check()?;
        Ok((!first_maps::is_any_awaited(root)).then_some(()))
    })?;
    Ok(())
}

fn present(context: &Context, session: &Session, target: &Target) -> Option<DeviceName> {
    session.devices_with_lun(&context.host.root, target.lun.kernel()).into_iter().find_map(|(_, disk)| disk)
}

/// A disk that was there before: kept with its live identity, or removed when it is a leftover of another volume.
/// None says that it was removed.
fn accept(context: &Context, disk: &DeviceName) -> Result<Option<Option<Wwid>>> {
    match identify::ask_again(&context.host, disk)? {
        Verdict::Current(identity) => Ok(Some(identity.or_else(|| identify::identity(&context.host, disk)))),
        Verdict::Stale { was, now } => {
            identify::report_stale(disk, &was, now.as_ref());
            let map = crate::devices::multipath::find_map(&context.host, std::slice::from_ref(disk));
            let mut disks =
                map.map(|map| crate::host::view::block::slaves(&context.host.root, &map.device)).unwrap_or_default();
            if !disks.contains(disk) {
                disks.push(disk.clone());
            }
            let removal = Removal { disks: &disks, used: Used::Nothing, force: false };
            let removed = remove::remove(&context.host, &removal, &mut Collected::new(false));
            removed.map(|()| None).map_err(|error| crate::error::Error::WrongIdentity {
                device: disk.dev_path().display().to_string(),
                reason: format!(
                    "it is a leftover of {was} on a LUN that maps another disk now, and cannot be removed: {}",
                    error.describe()
                ),
            })
        }
    }
}

/// Scans for exactly this LUN, again after 4, 9, 16 ... seconds, and looks for the disk in between.
fn scan_until_found(context: &Context, target: &Target, session: &Session, stop: &dyn Stop) -> Result<DeviceName> {
    let (host, mut scans, mut next_scan, mut pace) = (&context.host, 0, Instant::now(), Pace::new());
    loop {
        stop.check()?;
        if !session.exists(&host.root) {
            return Err(Error::SessionLost { device: target.to_string() });
        }
        if Instant::now() >= next_scan {
            if scans > context.settings.device_scan_attempts {
                return Err(gone(target, &format!("LUN {} did not appear after {scans} scans", target.lun)));
            }
            scan(context, session, target)?;
            scans += 1;
            next_scan = Instant::now() + pause_after(scans);
            pace.reset();
        }
        let until = (Instant::now() + pace.next()).min(next_scan);
        if let Some(found) = wait::until(until, || Ok(present(context, session, target)))? {
            return Ok(found);
        }
    }
}

fn gone(target: &Target, reason: &str) -> Error {
    Error::DeviceNotFound { device: target.to_string(), reason: reason.to_owned() }
}

/// Writes channel, target and LUN; wildcards only for what the kernel does not say.
fn scan(context: &Context, session: &Session, target: &Target) -> Result<()> {
    let (channel, id) = match session.devices(&context.host.root).first() {
        Some((hctl, _)) => (hctl.channel.to_string(), hctl.target.to_string()),
        None => match session.target_id {
            Some(id) => ("0".to_owned(), id.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        },
    };
    let what = format!("{channel} {id} {}", target.lun);
    debug!(target: ISCSI, "{target}: scanning host {} for {what}", session.host);
    bounded::write(&context.host, &scsi::scan_path(session.host), &what, SCAN)
}

/// Takes one path away again that turned out not to belong to the volume.
pub fn take_down(context: &Context, path: Path) -> Result<()> {
    info!(target: ISCSI, "{}: removing {} again", path.target, path.disk);
    let Path { target, disk, session, fresh, .. } = path;
    drop(session);
    if fresh {
        let disks = [disk];
        let removal = Removal { disks: &disks, used: Used::Nothing, force: true };
        remove::remove(&context.host, &removal, &mut Collected::new(true))?;
    }
    session::release(context, &target)
}
