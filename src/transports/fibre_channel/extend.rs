//! A volume that was extended on the storage.

use log::info;

use crate::devices::resize;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::log::{FIBRE_CHANNEL, Phases};
use crate::transports::settings::Settings;

use super::disconnect;
use super::fabric::Fabric;
use super::operation::Context;
use super::request::Request;

/// Has the host notice the new size on all paths of the volume and its map; gives it in bytes.
pub fn extend(host: &Host, request: &Request, settings: &Settings) -> Result<u64> {
    let mut phases = Phases::new();
    let context = Context::new(host, request.clone(), settings.clone());
    let _operation = context.locks.extension(&context.volumes())?;
    phases.end("lock");
    let disks = disconnect::disks(&context, &Fabric::look(&host.root));
    if disks.is_empty() {
        let reason = format!("no disk of {} is on this host", request.targets[0]);
        return Err(Error::PathsNotFound { reason });
    }
    let size = resize::resize(host, &disks)?;
    phases.end("resize");
    info!(
        target: FIBRE_CHANNEL,
        "extended {} to {size} bytes on {} path(s): {}", request.targets[0], disks.len(), phases.line()
    );
    Ok(size)
}
