//! A volume that was extended on the storage.

use std::time::{Duration, Instant};

use log::{debug, info};

use crate::error::{Error, Result};
use crate::host::programs::nvme;
use crate::host::view::nvme_controller::Controller;
use crate::host::view::{block, nvme_identify};
use crate::host::{Host, wait};
use crate::identifiers::DeviceName;
use crate::log::{NVMEOF, Phases};
use crate::transports::settings::Settings;

use super::controller;
use super::namespace;
use super::operation::Context;
use super::paths;
use super::raid;
use super::request::{Request, Target};

/// How long the kernel has to take over the size the storage reports.
const TAKEN_OVER: Duration = Duration::from_secs(10);
/// How long a size may take to change when the storage does not say what it will be (upstream waits as long).
const UNKNOWN: Duration = Duration::from_secs(5);

/// Has the host notice the new size of the volume; gives it in bytes.
pub fn extend(host: &Host, request: &Request, settings: &Settings) -> Result<u64> {
    let mut phases = Phases::new();
    let context = Context::new(host, request.clone(), settings.clone());
    let _operation = context.locks.extension(&context.volumes())?;
    phases.end("lock");
    let mut legs = Vec::new();
    let mut size = None;
    for target in &request.targets {
        if let Some(device) = paths::device_of(&context, target) {
            size = Some(extend_namespace(&context, target, &device)?);
            legs.push(device);
        }
    }
    let Some(size) = size else {
        let reason = "no controller of this host leads to it".to_owned();
        return Err(Error::DeviceNotFound { device: request.targets[0].to_string(), reason });
    };
    phases.end("resize");
    let size = if paths::is_array(&context, &legs)? { raid::grow(&context, &legs)? } else { size };
    info!(target: NVMEOF, "extended {} to {size} bytes: {}", request.targets[0], phases.line());
    Ok(size)
}

/// Has every controller look again, and waits until the device is as large as the storage says.
fn extend_namespace(context: &Context, target: &Target, device: &DeviceName) -> Result<u64> {
    let host = &context.host;
    let live: Vec<(Controller, Option<u32>)> = namespace::paths(context, target)
        .into_iter()
        .filter(|(controller, path)| path.device == *device && controller.is_live(&host.root))
        .map(|(controller, path)| (controller, path.nsid(&host.root)))
        .collect();
    if live.is_empty() {
        return Err(Error::PathDown { reason: format!("no controller of {device} is live") });
    }
    let wanted = size_of_storage(host, device, &live);
    let size = || block::size(&host.root, device);
    let before = size();
    if wanted.is_none() || before != wanted {
        for (controller, _) in &live {
            controller::rescan(host, controller)?;
        }
    }
    let Some(wanted) = wanted else {
        wait::until_true(Instant::now() + UNKNOWN, || size() != before);
        return size().ok_or_else(|| unreadable(device));
    };
    if wait::until_true(Instant::now() + TAKEN_OVER, || size() == Some(wanted)) {
        return Ok(wanted);
    }
    Err(Error::Timeout { what: format!("{device} growing from {before:?} to {wanted} bytes"), after: TAKEN_OVER })
}

fn unreadable(device: &DeviceName) -> Error {
    Error::DeviceNotFound { device: device.dev_path().display().to_string(), reason: "it has no size".to_owned() }
}

/// What the storage says, asked now; None when it cannot be asked.
fn size_of_storage(host: &Host, device: &DeviceName, live: &[(Controller, Option<u32>)]) -> Option<u64> {
    let asked = if host.runner.is_direct() {
        live.iter().find_map(|(controller, nsid)| {
            let answer = host.runner.nvme_identify(&controller.dev_path(), (*nsid)?, nvme_identify::NAMESPACE);
            Some(answer.map(|answer| answer.as_deref().and_then(nvme_identify::size)))
        })?
    } else {
        nvme::size(host, device)
    };
    asked.unwrap_or_else(|error| {
        debug!(target: NVMEOF, "{device}: its size was not told: {}", error.describe());
        None
    })
}
