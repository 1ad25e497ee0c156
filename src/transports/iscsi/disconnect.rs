//! Detaching a volume: its disks and only its disks, then sessions and records nobody else needs.

use std::collections::HashSet;
use std::path::Path;

use log::debug;

use crate::devices::remove::{self, Collected, Removal, Used};
use crate::devices::{multipath, nameless};
use crate::error::{Error, Result};
use crate::fan_out::{self, fan_out};
use crate::host::Host;
use crate::host::view::iscsi_session::{self, Session};
use crate::host::view::{block, node_record, scsi};
use crate::identifiers::{DeviceName, Hctl, Wwid};
use crate::log::{ISCSI, Phases};
use crate::transports::attachment::Entry;
use crate::transports::outcome::log_detach;
use crate::transports::settings::Settings;

use super::operation::Context;
use super::request::{Request, Target};
use super::session;

/// What a volume has on this host.
#[derive(Debug, Default)]
pub struct Presence {
    pub disks: Vec<DeviceName>,
    /// Portals of the volume, with or without a session.
    pub targets: Vec<Target>,
}

/// Detaches the volume.  Gives the errors that `force` went past; without it the first error is returned and nothing
/// was lost.  A volume that is not there is detached.
pub fn disconnect(
    host: &Host,
    request: &Request,
    settings: &Settings,
    used: Option<&Path>,
    force: bool,
) -> Result<Vec<Error>> {
    let mut phases = Phases::new();
    let context = Context::new(host, request.clone(), settings.clone());
    let _operation = context.locks.operation(&context.volumes())?;
    phases.end("lock");
    let entry = Entry::detaching(settings, context.subject());
    let outcome = detach(&context, used, force, &mut phases);
    match &outcome {
        Ok(errors) => entry.detached(errors.is_empty()),
        Err(_) => entry.failed(),
    }
    log_detach(ISCSI, &request.targets[0], &outcome, &phases);
    outcome
}

fn detach(context: &Context, used: Option<&Path>, force: bool, phases: &mut Phases) -> Result<Vec<Error>> {
    let mut collected = Collected::new(force);
    collected.check(nameless::settle(&context.host, || addresses(context)))?;
    let presence = presence(context);
    debug!(target: ISCSI, "{:?}", presence.disks);
    let used = used.map_or(Used::Unknown, |path| Used::Device(path.to_path_buf()));
    let removal = Removal { disks: &presence.disks, used, force };
    let gone = remove::take_away(&context.host, &removal, &mut collected)?;
    phases.end(format!("{} disk(s)", presence.disks.len()));
    let (finished, released) = fan_out::both(
        || {
            remove::settle(&context.host, &gone);
            if gone.needs_sessions_gone() { None } else { Some(remove::finish(&context.host, &gone)) }
        },
        || fan_out(&presence.targets, |target| session::release(context, target)),
    );
    for outcome in released {
        collected.check(outcome)?;
    }
    let finished = finished.flatten().unwrap_or_else(|| remove::finish(&context.host, &gone));
    collected.check(finished)?;
    phases.end("logout");
    Ok(collected.errors)
}

/// Where the SCSI devices of the named paths are.
fn addresses(context: &Context) -> Vec<Hctl> {
    let (root, request) = (&context.host.root, &context.request);
    let targets = request.targets.iter().chain(&request.named);
    let of_target = |target: &Target| {
        let sessions = iscsi_session::of_portal(root, &target.portal, &target.iqn).into_iter();
        sessions.flat_map(|session| session.addresses_with_lun(root, target.lun.kernel())).collect::<Vec<_>>()
    };
    targets.flat_map(of_target).collect()
}

/// Everything of the volume on this host, from sessions and identities alone: links may be old.
pub fn presence(context: &Context) -> Presence {
    let root = &context.host.root;
    let request = &context.request;
    let mut found = Found::default();
    for target in request.targets.iter().chain(&request.named) {
        found.add_target(target);
        for session in iscsi_session::of_portal(root, &target.portal, &target.iqn) {
            found.add_disks(context, &session, target);
        }
    }
    found.follow_map(context);
    if !request.lists_all_paths {
        found.add_siblings(context);
        found.add_idle_records(context);
    }
    Presence { disks: found.disks, targets: found.targets }
}

#[derive(Default)]
struct Found {
    disks: Vec<DeviceName>,
    targets: Vec<Target>,
}

impl Found {
    fn add_target(&mut self, target: &Target) {
        if !self.targets.iter().any(|known| known.portal == target.portal && known.iqn == target.iqn) {
            self.targets.push(target.clone());
        }
    }

    fn add_disk(&mut self, disk: DeviceName) {
        if !self.disks.contains(&disk) {
            self.disks.push(disk);
        }
    }

    fn add_disks(&mut self, context: &Context, session: &Session, target: &Target) {
        for (_, disk) in session.devices_with_lun(&context.host.root, target.lun.kernel()) {
            disk.into_iter().for_each(|disk| self.add_disk(disk));
        }
    }

    /// Paths in the volume's map that the properties do not name: left in, the map would come back from them.
    fn follow_map(&mut self, context: &Context) {
        let root = &context.host.root;
        let Some(map) = multipath::find_map(&context.host, &self.disks) else {
            return;
        };
        let members: Vec<DeviceName> =
            block::slaves(root, &map.device).into_iter().filter(|disk| !self.disks.contains(disk)).collect();
        if members.is_empty() {
            return;
        }
        let sessions = iscsi_session::all(root);
        for disk in members {
            if let Some(target) = target_of(context, &sessions, &disk) {
                self.add_target(&target);
            }
            self.add_disk(disk);
        }
    }

    /// The other paths of a volume that was attached by discovery: the same LUN with the same identity.
    fn add_siblings(&mut self, context: &Context) {
        let root = &context.host.root;
        let identities: HashSet<Wwid> = self.disks.iter().filter_map(|disk| scsi::wwid(root, disk)).collect();
        let Some(lun) = context.request.targets.first().map(|target| target.lun) else {
            return;
        };
        if identities.is_empty() {
            return;
        }
        for session in iscsi_session::all(root) {
            for (_, disk) in session.devices_with_lun(root, lun.kernel()) {
                let Some(disk) = disk.filter(|disk| !self.disks.contains(disk)) else {
                    continue;
                };
                if scsi::wwid(root, &disk).is_some_and(|wwid| identities.contains(&wwid)) {
                    as_target(context, &session).iter().for_each(|target| self.add_target(target));
                    self.add_disk(disk);
                }
            }
        }
    }

    /// Sessions and records of the named target on other portals: `session::release` spares those in use.
    fn add_idle_records(&mut self, context: &Context) {
        let Some(named) = &context.request.named else {
            return;
        };
        let root = &context.host.root;
        let of_records = node_record::of_target(root, &named.iqn).into_iter().map(|record| record.portal);
        let of_sessions = iscsi_session::of_target(root, &named.iqn).into_iter().filter_map(|session| session.portal);
        for portal in of_records.chain(of_sessions) {
            self.add_target(&Target { portal, ..named.clone() });
        }
    }
}

fn as_target(context: &Context, session: &Session) -> Option<Target> {
    let lun = context.request.targets.first()?.lun;
    Some(Target { portal: session.portal.clone()?, iqn: session.target_name.parse().ok()?, lun })
}

fn target_of(context: &Context, sessions: &[Session], disk: &DeviceName) -> Option<Target> {
    let hctl = scsi::hctl(&context.host.root, disk)?;
    as_target(context, sessions.iter().find(|session| session.host == hctl.host)?)
}
