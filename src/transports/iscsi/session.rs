//! One session: had, made, given back.

use std::path::Path;
use std::time::{Duration, Instant};

use log::{debug, info};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::act::lock::{self, Held, Mode, Place};
use crate::host::programs::iscsiadm;
use crate::host::view::iscsi_session::{self, Session};
use crate::host::view::node_record;
use crate::host::wait;
use crate::identifiers::{AddressingMode, Iqn, Lun, Portal};
use crate::log::ISCSI;
use crate::transports::locks::Locks;

use super::operation::Context;
use super::record;
use super::request::Target;

/// Longer than one login takes (15 to 17 s), so that a pending one has ended.
const PENDING_LOGIN: Duration = Duration::from_secs(25);
/// Logins of others to the same portal and target queue up here.
const LOGIN_QUEUE: Duration = Duration::from_secs(180);
/// The kernel shows a session within milliseconds of the login's end.
const APPEARS: Duration = Duration::from_secs(5);
/// A session in recovery may be back in a moment.
const RECOVERS: Duration = Duration::from_secs(3);

/// A session this attach uses.  While it is held nobody logs out of it.
pub struct InUse {
    pub session: Session,
    /// Whether this attach logged in, so that it also has to log out when it fails.
    pub made: bool,
    _lock: Held,
}

/// The session with a portal of a target: the one there is, or a new one.
pub fn ensure(context: &Context, target: &Target) -> Result<InUse> {
    let place = context.locks.session(&target.portal.key(), target.iqn.as_str());
    let (begun, mut waits) = (Instant::now(), false);
    let had = wait::until(begun + LOGIN_QUEUE, || {
        let had = try_to_have(context, target, &place)?;
        if had.is_none() && !std::mem::replace(&mut waits, true) {
            debug!(target: ISCSI, "{target}: waiting for another attach or detach at this session");
        }
        Ok(had)
    })?;
    match had {
        Some(Had::There(session)) => Ok(session),
        Some(Had::Alone(exclusive)) => {
            let session = log_in(context, target)?;
            exclusive.share()?;
            Ok(InUse { session, made: true, _lock: exclusive })
        }
        None => {
            Err(Error::Timeout { what: format!("getting the lock of the session {target}"), after: begun.elapsed() })
        }
    }
}

enum Had {
    There(InUse),
    /// There is none, and nobody else may make one.
    Alone(Held),
}

/// Looks for the session each time: those who share one keep everybody from having it alone, for as long as an attach takes.
fn try_to_have(context: &Context, target: &Target, place: &Place) -> Result<Option<Had>> {
    let there = |session, lock| Some(Had::There(InUse { session, made: false, _lock: lock }));
    if let Some(shared) = lock::try_acquire(place, Mode::Shared)?
        && let Some(session) = usable(context, target)?
    {
        return Ok(there(session, shared));
    }
    let Some(exclusive) = lock::try_acquire(place, Mode::Exclusive)? else { return Ok(None) };
    if let Some(session) = usable(context, target)? {
        exclusive.share()?;
        return Ok(there(session, exclusive));
    }
    Ok(Some(Had::Alone(exclusive)))
}

/// A session that is there and logged in.  One that is there and not logged in is iscsid's to bring back: a second
/// login would only be told that it exists.
fn usable(context: &Context, target: &Target) -> Result<Option<Session>> {
    let root = &context.host.root;
    let sessions = iscsi_session::of_portal(root, &target.portal, &target.iqn);
    if sessions.is_empty() {
        return Ok(None);
    }
    let live = wait::until(Instant::now() + RECOVERS, || {
        Ok(sessions.iter().find(|session| session.is_logged_in(root)).cloned())
    })?;
    if live.is_none() && sessions.iter().any(|session| session.exists(root)) {
        return Err(Error::PortalNotFound {
            portal: target.portal.to_string(),
            reason: format!("session {} is there but not logged in; iscsid tries to recover it", sessions[0].sid),
        });
    }
    Ok(live)
}

/// The target with its portal spelled as the host knows it already.
fn as_known(context: &Context, target: &Target) -> Target {
    let root = &context.host.root;
    let of_session = || iscsi_session::of_portal(root, &target.portal, &target.iqn).into_iter().find_map(|s| s.portal);
    let of_record =
        || node_record::of_portal(root, &target.portal, &target.iqn).into_iter().map(|record| record.portal).next();
    let portal = of_session().or_else(of_record).unwrap_or_else(|| target.portal.clone());
    Target { portal, ..target.clone() }
}

fn log_in(context: &Context, target: &Target) -> Result<Session> {
    let host = &context.host;
    let target = &as_known(context, target);
    let prepared = record::prepare(context, target)?;
    let login = iscsiadm::login(host, &target.portal, &target.iqn);
    prepared.settle(host);
    let appeared = login.and_then(|()| {
        let found = wait::until(Instant::now() + APPEARS, || {
            let sessions = iscsi_session::of_portal(&host.root, &target.portal, &target.iqn);
            Ok(sessions.into_iter().find(|session| session.is_logged_in(&host.root)))
        })?;
        found.ok_or_else(|| Error::PortalNotFound {
            portal: target.portal.to_string(),
            reason: "the login succeeded but no session appeared in /sys/class/iscsi_session".to_owned(),
        })
    });
    if appeared.is_err() {
        // Nobody else uses the record: the lock is exclusive and there is no session.
        forget(context, target);
    }
    appeared
}

fn forget(context: &Context, target: &Target) {
    let host = &context.host;
    if iscsi_session::of_portal(&host.root, &target.portal, &target.iqn).is_empty()
        && let Err(error) = record::remove(host, target)
    {
        debug!(target: ISCSI, "the record of {target} stays: {}", error.describe());
    }
}

/// Logs out of a portal and takes its record away, unless another volume or another attach uses the session.
pub fn release(context: &Context, target: &Target) -> Result<()> {
    let host = &context.host;
    let root = &host.root;
    let target = &as_known(context, target);
    let place = context.locks.session(&target.portal.key(), target.iqn.as_str());
    let sessions = || iscsi_session::of_portal(root, &target.portal, &target.iqn);
    let mut held = lock::try_acquire(&place, Mode::Exclusive)?;
    if held.is_none() && sessions().is_empty() {
        // A login of a process that has gone on without us is under way; when it has ended its session is ours to end.
        held = match lock::acquire(&place, Mode::Exclusive, Instant::now() + PENDING_LOGIN) {
            Ok(held) => Some(held),
            // Logins of other volumes, one after the other: theirs to end.
            Err(Error::Timeout { .. }) => None,
            Err(error) => return Err(error),
        };
    }
    let Some(_held) = held else {
        debug!(target: ISCSI, "{target}: another attach uses the session, it stays");
        return Ok(());
    };
    if sessions().iter().any(|session| session.devices(root).iter().any(|(_, disk)| disk.is_some())) {
        debug!(target: ISCSI, "{target}: other volumes use the session, it stays");
        return Ok(());
    }
    let known = sessions();
    if known.is_empty()
        && node_record::of_portal(root, &target.portal, &target.iqn).is_empty()
        && host.runner.is_direct()
    {
        return Ok(());
    }
    end(host, target, &known)
}

/// The same for a portal that is nobody's any more, whatever volume it was of.  Gives a reason when it is used.
pub fn release_unused(host: &Host, lock_path: &Path, portal: &Portal, iqn: &Iqn) -> Result<Option<String>> {
    let root = &host.root;
    let place = Locks::new(root, lock_path).session(&portal.key(), iqn.as_str());
    let Some(_held) = lock::try_acquire(&place, Mode::Exclusive)? else {
        return Ok(Some("an attach uses the session".to_owned()));
    };
    let known = iscsi_session::of_portal(root, portal, iqn);
    if let Some((address, _)) = known.iter().find_map(|session| session.devices(root).into_iter().next()) {
        return Ok(Some(format!("a session has the device {address}")));
    }
    let lun = Lun::addressed(0, AddressingMode::default());
    end(host, &Target { portal: portal.clone(), iqn: iqn.clone(), lun }, &known).map(|()| None)
}

/// Logs out of sessions without disks, whose lock is held, and takes their record away.
fn end(host: &Host, target: &Target, known: &[Session]) -> Result<()> {
    let root = &host.root;
    if !known.is_empty() {
        info!(target: ISCSI, "logging out of {} {}", target.portal, target.iqn);
        iscsiadm::logout(host, &target.portal, &target.iqn)?;
        let gone = wait::until_true(Instant::now() + APPEARS, || known.iter().all(|session| !session.exists(root)));
        if !gone {
            return Err(Error::Timeout {
                what: format!("the logout from {} {}", target.portal, target.iqn),
                after: APPEARS,
            });
        }
    }
    record::remove(host, target)
}
