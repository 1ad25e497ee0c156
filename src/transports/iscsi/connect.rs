//! Attaching a volume.

use log::{info, warn};

use crate::devices::multipath;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::programs::iscsiadm;
use crate::log::{ISCSI, Phases};
use crate::transports::attachment::Entry;
use crate::transports::locks::Operation;
use crate::transports::portals;
use crate::transports::settings::Settings;

use super::operation::Context;
use super::outcome::{Attachment, Outcome};
use super::path::{self, Path, Stop};
use super::request::{Request, Target};
use super::{coordinate, discovery, join};

/// How often an attach begins anew when somebody else logged out of its sessions.
const ATTEMPTS: usize = 3;
/// Transports a named interface may have (open-iscsi).
const TRANSPORTS: [&str; 9] = ["be2iscsi", "bnx2i", "cxgb3i", "default", "cxgb4i", "qla4xxx", "ocs", "iser", "tcp"];

/// Attaches the volume.  On failure everything this call made is taken away again and the first error is returned.
pub fn connect(host: &Host, request: &Request, settings: &Settings) -> Result<Attachment> {
    multipath::check_available(host, settings.use_multipath, request.enforce_multipath)?;
    let interface = usable_interface(host, &settings.interface)?;
    let settings = Settings { interface, ..settings.clone() };
    let mut attempt = 1;
    loop {
        let mut phases = Phases::new();
        match once(host, request, &settings, &mut phases) {
            Err(error @ Error::SessionLost { .. }) if attempt < ATTEMPTS => {
                info!(target: ISCSI, "attempt {attempt}: {}", error.describe());
                attempt += 1;
            }
            Ok(attachment) => {
                let (volume, without) = (&request.targets[0], phases.without());
                info!(target: ISCSI, "attached {volume} as {}{without}: {}", attachment.path, phases.line());
                return Ok(attachment);
            }
            Err(error) => {
                warn!(target: ISCSI, "attach of {} failed: {} ({})", request.targets[0], error.describe(), phases.line());
                return Err(error);
            }
        }
    }
}

fn once(host: &Host, request: &Request, settings: &Settings, phases: &mut Phases) -> Result<Attachment> {
    let context = Context::new(host, request.clone(), settings.clone());
    let operation = context.locks.operation(&context.volumes())?;
    phases.end("lock");
    let entry = Entry::attaching(settings, context.subject());
    let attached = bring_up(context, operation, phases).and_then(|outcome| outcome.attachment());
    match &attached {
        Ok(attachment) => entry.attached(&attachment.path),
        Err(_) => entry.failed(),
    }
    attached
}

fn bring_up(context: Context, operation: Operation, phases: &mut Phases) -> Result<Outcome> {
    let request = &context.request;
    if context.settings.use_multipath {
        let targets = match (&request.named, request.lists_all_paths) {
            (Some(named), false) => {
                let found = discovery::discover(&context, named)?;
                phases.end("discovery");
                found
            }
            _ => request.targets.clone(),
        };
        coordinate::connect(context, targets, operation, phases)
    } else {
        // A disk that is refused is taken away under the locks.
        let outcome = single(&context, phases);
        drop(operation);
        outcome
    }
}

/// An interface of an unknown transport is not used: iscsid would not know it either.
fn usable_interface(host: &Host, name: &str) -> Result<String> {
    if matches!(name, "default" | "iser") {
        return Ok(name.to_owned());
    }
    match iscsiadm::interface_transport(host, name)? {
        Some(transport) if TRANSPORTS.contains(&transport.as_str()) => Ok(name.to_owned()),
        other => {
            let transport = other.unwrap_or_else(|| "unknown".to_owned());
            warn!(target: ISCSI, "interface {name} has the transport {transport}, which is not supported; using default");
            Ok("default".to_owned())
        }
    }
}

struct Never;

impl Stop for Never {
    fn check(&self) -> Result<()> {
        if join::is_stopped() { Err(Error::Cancelled { reason: "the process ends".to_owned() }) } else { Ok(()) }
    }
}

/// One path: the targets in their order until one yields a disk.  Portals that failed lately come last.
fn single(context: &Context, phases: &mut Phases) -> Result<Outcome> {
    let mut order: Vec<&Target> = context.request.targets.iter().collect();
    order.sort_by_key(|target| portals::failed_lately(&target.portal));
    let mut failures = Vec::new();
    for target in order {
        match path::bring_up(context, target, None, &Never) {
            Ok(path) => {
                phases.note(format!("login {}", target.portal), path.times.login);
                phases.note("device", path.times.device);
                phases.note("identity", path.times.identity);
                portals::forget_failed(&target.portal);
                return take(context, path);
            }
            Err(error @ (Error::SessionLost { .. } | Error::WrongIdentity { .. })) => {
                return Err(error);
            }
            Err(error) => {
                if matches!(error, Error::PortalNotFound { .. }) {
                    portals::remember_failed(&target.portal);
                }
                warn!(target: ISCSI, "no path through {target}: {}", error.describe());
                phases.miss(target, &error.describe());
                failures.push(format!("{target}: {}", error.describe()));
            }
        }
    }
    Err(Error::DeviceNotFound { device: String::new(), reason: failures.join("; ") })
}

/// The one path that is up, unless it is not the volume the properties name.
fn take(context: &Context, path: Path) -> Result<Outcome> {
    let outcome = Outcome { disks: vec![path.disk.clone()], identity: path.identity.clone(), map: None };
    let checked = outcome.check_expected(context);
    if checked.is_err()
        && path.is_of_this_attach()
        && let Err(left) = path::take_down(context, path)
    {
        warn!(target: ISCSI, "left behind by the failed attach: {}", left.describe());
    }
    checked.map(|()| outcome)
}
