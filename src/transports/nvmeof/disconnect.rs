//! Detaching a volume: what was written goes out, then the controllers nobody else needs.
//!
//! The namespace itself leaves the host when the storage unmaps it.  A controller that leads to others stays.

use std::path::Path;

use log::{debug, info, warn};

use crate::devices::remove::{self, Collected};
use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::Host;
use crate::host::view::block;
use crate::identifiers::{DeviceName, FabricPortal};
use crate::log::{NVMEOF, Phases};
use crate::transports::attachment::Entry;
use crate::transports::settings::Settings;

use super::controller;
use super::namespace;
use super::operation::Context;
use super::raid;
use super::request::{Replicas, Request, Target};

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
    let mut collected = Collected::new(force);
    let entry = Entry::detaching(settings, context.subject());
    let outcome = detach(&context, used, &mut collected, &mut phases);
    match &outcome {
        Ok(()) => entry.detached(collected.errors.is_empty()),
        Err(_) => entry.failed(),
    }
    match &outcome {
        Ok(()) => info!(target: NVMEOF, "detached {}: {}", request.targets[0], phases.line()),
        Err(error) => {
            warn!(target: NVMEOF, "detach of {} failed: {} ({})", request.targets[0], error.describe(), phases.line());
        }
    }
    outcome.map(|()| collected.errors)
}

fn detach(context: &Context, used: Option<&Path>, collected: &mut Collected, phases: &mut Phases) -> Result<()> {
    let host = &context.host;
    let used = used.or(context.request.device_path.as_deref());
    let remembered = used.and_then(|path| block::behind(&host.root, path));
    let targets = &context.request.targets;
    let devices: Vec<Option<DeviceName>> =
        targets.iter().map(|target| namespace::device(context, target, remembered.as_ref())).collect();
    if devices.iter().all(Option::is_none) {
        let shown = used.map_or_else(|| targets[0].to_string(), |path| path.display().to_string());
        warn!(target: NVMEOF, "{shown} is not attached; only connections nobody uses are ended");
    }
    let present: Vec<DeviceName> = devices.iter().flatten().cloned().collect();
    if context.request.replicas != Replicas::None {
        collected.check(raid::take_down(context, &present))?;
        phases.end("array");
    }
    for device in &present {
        let refused = remove::refuse_if_used(host, device, device.as_str());
        if collected.check(refused)?.is_some() {
            collected.check(remove::flush(host, device, collected.force))?;
        }
    }
    phases.end(format!("flush of {}", present.len()));
    release(context, &devices, collected)?;
    phases.end("disconnect");
    Ok(())
}

/// Every portal is tried before the first error is reported.
fn release(context: &Context, devices: &[Option<DeviceName>], collected: &mut Collected) -> Result<()> {
    let targets = context.request.targets.iter().zip(devices);
    let all: Vec<(&Target, &FabricPortal, Option<&DeviceName>)> = targets
        .flat_map(|(target, device)| target.portals.iter().map(move |portal| (target, portal, device.as_ref())))
        .collect();
    let outcomes = fan_out(&all, |(target, portal, device)| controller::release(context, target, portal, *device));
    for ((target, portal, _), outcome) in all.iter().zip(&outcomes) {
        if let Err(error) = outcome {
            debug!(target: NVMEOF, "{portal} of {}: {}", target.nqn, error.describe());
        }
    }
    outcomes.into_iter().try_for_each(|outcome| collected.check(outcome).map(drop))
}
