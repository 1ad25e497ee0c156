//! IBM Z: a LUN has to be made a unit of the adapter before it is a disk, and is no unit any more afterwards.

use std::path::Path;
use std::time::Duration;

use log::{debug, warn};

use crate::host::Host;
use crate::host::act::bounded;
use crate::host::view::fc_host::FcHost;
use crate::host::view::zfcp;

use super::fabric::{Fabric, kernel_lun};
use super::operation::Context;
use super::request::Target;

/// The adapter asks the fabric, or the port, before the write returns.
const ANSWER: Duration = Duration::from_secs(30);

/// The adapters of zfcp with the targets each of them may reach.
fn adapters<'a>(context: &'a Context, fabric: &'a Fabric) -> impl Iterator<Item = (&'a FcHost, String)> {
    fabric.hosts().iter().filter_map(|host| {
        let adapter = host.ccw_device().filter(|adapter| zfcp::has_adapter(&context.host.root, adapter))?;
        Some((host, adapter))
    })
}

/// A unit an attach made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    adapter: String,
    target: Target,
    host: FcHost,
}

/// Makes units of the volume's LUNs.  What fails is a warning: an adapter that scans by itself refuses, and the attach
/// decides by the disks.
pub fn configure(context: &Context, fabric: &Fabric) -> Vec<Unit> {
    let mut made = Vec::new();
    for (host, adapter) in adapters(context, fabric) {
        let root = &context.host.root;
        for target in context.request.targets_of(host.port_name) {
            let lun = kernel_lun(host, target.lun);
            if !zfcp::has_port(root, &adapter, target.wwpn) {
                write(&context.host, &zfcp::port_rescan_path(&adapter), "1");
            }
            if zfcp::has_unit(root, &adapter, target.wwpn, lun) {
                continue;
            }
            if write(&context.host, &zfcp::unit_add_path(&adapter, target.wwpn), &lun.address()) {
                made.push(Unit { adapter: adapter.clone(), target: *target, host: host.clone() });
            }
        }
    }
    made
}

/// Takes away the units an attach made.
pub fn undo(context: &Context, made: &[Unit]) {
    for unit in made {
        remove(&context.host, &unit.adapter, &unit.host, unit.target);
    }
}

/// Takes away every unit of the volume; its disks have gone.
pub fn deconfigure(context: &Context, fabric: &Fabric) {
    for (host, adapter) in adapters(context, fabric) {
        for target in &context.request.targets {
            remove(&context.host, &adapter, host, *target);
        }
    }
}

fn remove(host: &Host, adapter: &str, of: &FcHost, target: Target) {
    let lun = kernel_lun(of, target.lun);
    if zfcp::has_unit(&host.root, adapter, target.wwpn, lun) {
        write(host, &zfcp::unit_remove_path(adapter, target.wwpn), &lun.address());
    } else {
        debug!(target: crate::log::FIBRE_CHANNEL, "{adapter}: {target} is no unit");
    }
}

fn write(host: &Host, path: &Path, content: &str) -> bool {
    match bounded::write(host, path, content, ANSWER) {
        Ok(()) => true,
        Err(error) => {
            warn!(target: crate::log::FIBRE_CHANNEL, "{}", error.describe());
            false
        }
    }
}
