//! Detaching a volume: its disks and only its disks, whatever became of the ports they were reached through.

use std::path::Path;

use log::debug;

use crate::devices::remove::{self, Collected, Removal, Used};
use crate::devices::{multipath, nameless};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::view::block;
use crate::identifiers::DeviceName;
use crate::log::{FIBRE_CHANNEL, Phases};
use crate::transports::attachment::Entry;
use crate::transports::outcome::log_detach;
use crate::transports::settings::Settings;

use super::fabric::Fabric;
use super::operation::Context;
use super::request::Request;
use super::zfcp;

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
    log_detach(FIBRE_CHANNEL, &request.targets[0], &outcome, &phases);
    outcome
}

fn detach(context: &Context, used: Option<&Path>, force: bool, phases: &mut Phases) -> Result<Vec<Error>> {
    let fabric = Fabric::look(&context.host.root);
    let mut collected = Collected::new(force);
    collected.check(nameless::settle(&context.host, || fabric.addresses(&context.request)))?;
    let disks = disks(context, &fabric);
    debug!(target: FIBRE_CHANNEL, "{disks:?}");
    let used = used.map_or(Used::Unknown, |path| Used::Device(path.to_path_buf()));
    let removal = Removal { disks: &disks, used, force };
    remove::remove(&context.host, &removal, &mut collected)?;
    zfcp::deconfigure(context, &fabric);
    phases.end(format!("{} disk(s)", disks.len()));
    Ok(collected.errors)
}

/// Everything of the volume on this host, from addresses and the map alone: links may be old.
pub fn disks(context: &Context, fabric: &Fabric) -> Vec<DeviceName> {
    let root = &context.host.root;
    let mut disks: Vec<DeviceName> = Vec::new();
    for disk in fabric.routes(&context.request).iter().filter_map(|route| route.disk(root)) {
        if !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    // Paths in the volume's map that the properties do not name: left in, the map would come back from them.
    if let Some(map) = multipath::find_map(&context.host, &disks) {
        let others: Vec<DeviceName> =
            block::slaves(root, &map.device).into_iter().filter(|disk| !disks.contains(disk)).collect();
        disks.extend(others);
    }
    disks
}
