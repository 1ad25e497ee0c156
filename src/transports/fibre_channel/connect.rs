//! Attaching a volume.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use crate::devices::{identify, multipath, nameless};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::identifiers::DeviceName;
use crate::log::{FIBRE_CHANNEL, Phases};
use crate::transports::attachment::Entry;
use crate::transports::locks::Operation;
use crate::transports::settings::Settings;

pub use super::answer::Attachment;

use super::answer;
use super::coordinate::{Coordinator, Outcome};
use super::fabric::Fabric;
use super::join::{self, Volume};
use super::operation::Context;
use super::path;
use super::request::Request;
use super::scan::Scans;
use super::zfcp;

/// How long a failed attach waits for scans that are on their way.
const WIND_UP: Duration = Duration::from_secs(5);

/// Attaches the volume.  On failure everything this call made is taken away again and the first error is returned.
pub fn connect(host: &Host, request: &Request, settings: &Settings) -> Result<Attachment> {
    let mut phases = Phases::new();
    multipath::check_available(host, settings.use_multipath, request.enforce_multipath)?;
    Fabric::look(&host.root).check_hosts()?;
    let context = Context::new(host, request.clone(), settings.clone());
    let operation = context.locks.operation(&context.volumes())?;
    phases.end("lock");
    let entry = Entry::attaching(settings, context.subject());
    let outcome = bring_up(&context, operation, entry, &mut phases);
    match &outcome {
        Ok(attachment) => {
            info!(target: FIBRE_CHANNEL, "attached {} as {}: {}", request.targets[0], attachment.path, phases.line());
        }
        Err(error) => warn!(
            target: FIBRE_CHANNEL,
            "attach of {} failed: {} ({})", request.targets[0], error.describe(), phases.line()
        ),
    }
    outcome
}

fn bring_up(context: &Context, operation: Operation, entry: Entry, phases: &mut Phases) -> Result<Attachment> {
    let root = &context.host.root;
    let before: HashSet<DeviceName> = present(context, &Fabric::look(root)).into_iter().collect();
    let units = zfcp::configure(context, &Fabric::look(root));
    let scans = Arc::new(Scans::default());
    let mut coordinator = Coordinator::new(context, Fabric::look(root), Arc::clone(&scans), before.clone());
    match coordinator.run(phases).and_then(|outcome| finish(context, outcome, phases)) {
        Ok((outcome, attachment)) => {
            entry.attached(&attachment.path);
            let volume = Volume::of(&outcome);
            join::go_on(context, operation, volume, scans, outcome.has_unknown);
            Ok(attachment)
        }
        Err(error) => {
            let context = context.clone();
            let undo = move || {
                let fabric = Fabric::look(&context.host.root);
                if let Err(error) = nameless::settle(&context.host, || fabric.addresses(&context.request)) {
                    warn!(target: FIBRE_CHANNEL, "left behind: {}", error.describe());
                }
                let mut left = present(&context, &fabric);
                left.retain(|disk| !before.contains(disk));
                path::take_down(&context.host, &left);
                zfcp::undo(&context, &units);
                entry.failed();
            };
            if scans.wait_until_done(WIND_UP) {
                undo();
            } else {
                // A scan that hangs may still bring a disk; nobody attaches or detaches the volume before that is gone.
                join::after_scans(operation, scans, undo);
            }
            Err(error)
        }
    }
}

/// The disks at the volume's addresses.
fn present(context: &Context, fabric: &Fabric) -> Vec<DeviceName> {
    fabric.routes(&context.request).iter().filter_map(|route| route.disk(&context.host.root)).collect()
}

fn finish(context: &Context, outcome: Outcome, phases: &mut Phases) -> Result<(Outcome, Attachment)> {
    let Some(attachment) = answer::attachment(context, &outcome) else {
        return Err(Error::FibreChannelDeviceNotFound { reason: "no disk was found".to_owned() });
    };
    let identity =
        outcome.map.as_ref().map(|map| &map.wwid).or(outcome.paths.first().and_then(|path| path.identity.as_ref()));
    identify::compare_expected(
        identity,
        &context.request.expected_wwns,
        &attachment.path,
        context.settings.enforce_identity,
    )?;
    phases.end(if outcome.map.is_some() { "other paths" } else { "link" });
    Ok((outcome, attachment))
}
