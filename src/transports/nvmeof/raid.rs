//! A mirror over the namespaces of a replicated volume.
//!
//! An array is made once, over legs that hold nothing; every later attach assembles the one that is there.  A leg is
//! never handed out alone: what is written to it would be lost or would win over the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::error::{Error, Result};
use crate::host::act::files;
use crate::host::programs::{blkid, mdadm};
use crate::host::view::{block, md};
use crate::host::{attribute, wait};
use crate::identifiers::DeviceName;
use crate::log::NVMEOF;

use super::operation::Context;
use super::request::Replicas;

/// On a busy host the name of an array comes long after the array (upstream waits as long).
const NAMED: Duration = Duration::from_secs(60);
/// udev may be about to assemble an array whose legs it has just seen.
const BY_UDEV: Duration = Duration::from_secs(1);
/// Whoever looks at an array keeps it busy for a moment.
const STOPS: u32 = 10;
const BETWEEN_STOPS: Duration = Duration::from_secs(1);
const ASSEMBLIES: u32 = 5;

/// The device of a volume with replicas, from the legs that were found.
pub fn bring_up(context: &Context, legs: &[DeviceName]) -> Result<PathBuf> {
    let path = context.request.array_path()?;
    let mut carried = Vec::new();
    for leg in legs {
        if md::array_over(&context.host.root, leg).is_some() || mdadm::is_leg(&context.host, leg)? {
            carried.push(leg.clone());
        }
    }
    match context.request.replicas {
        Replicas::One | Replicas::None if carried.is_empty() => Ok(legs[0].dev_path()),
        _ if !carried.is_empty() => assemble(context, &path, &carried).map(|()| path),
        Replicas::Mirror(count) if legs.len() < count => Err(Error::DeviceNotFound {
            device: path.display().to_string(),
            reason: format!("{} of {count} replicas were found, and none carries an array yet", legs.len()),
        }),
        _ => create(context, &path, legs).map(|()| path),
    }
}

/// Makes the array, if none of the legs holds anything that would be lost.
fn create(context: &Context, path: &Path, legs: &[DeviceName]) -> Result<()> {
    for leg in legs {
        if let Some(found) = blkid::signature(&context.host, leg)? {
            let reason = format!("it holds {found}, and an array would be made over it");
            return Err(Error::InUse { device: leg.dev_path().display().to_string(), reason });
        }
    }
    let alias = context.request.alias.as_deref().unwrap_or_default();
    info!(target: NVMEOF, "making the array {} of {} legs", path.display(), legs.len());
    mdadm::create(&context.host, alias, legs)?;
    wait_for_name(context, path, legs)
}

/// Whether the array over the legs takes I/O under its own name.
fn is_up(context: &Context, path: &Path, legs: &[DeviceName]) -> bool {
    let root = &context.host.root;
    let over = legs.first().and_then(|leg| md::array_over(root, leg));
    over.is_some_and(|array| md::is_active(root, &array) && md::named(root, path) == Some(array))
}

fn wait_for_name(context: &Context, path: &Path, legs: &[DeviceName]) -> Result<()> {
    if wait::until_true(Instant::now() + NAMED, || is_up(context, path, legs)) {
        return Ok(());
    }
    Err(Error::DeviceNotFound {
        device: path.display().to_string(),
        reason: format!("the array has no such name after {} s", NAMED.as_secs()),
    })
}

/// Assembles the array that is on the legs, with those that are there.  One that udev began under another name, or
/// without all of them, is stopped first.
fn assemble(context: &Context, path: &Path, legs: &[DeviceName]) -> Result<()> {
    let host = &context.host;
    let mut last = None;
    for attempt in 1..=ASSEMBLIES {
        if wait::until_true(Instant::now() + BY_UDEV, || is_up(context, path, legs)) {
            return Ok(());
        }
        let arrays: Vec<DeviceName> = legs.iter().filter_map(|leg| md::array_over(&host.root, leg)).collect();
        for array in
            arrays.iter().enumerate().filter(|(i, array)| !arrays[..*i].contains(array)).map(|(_, array)| array)
        {
            debug!(target: NVMEOF, "stopping {array}, which is not {}", path.display());
            mdadm::stop(host, &array.dev_path())?;
        }
        match mdadm::assemble(host, path, legs, false) {
            Ok(()) => return wait_for_name(context, path, legs),
            Err(error) => {
                warn!(target: NVMEOF, "attempt {attempt} at {}: {}", path.display(), error.describe());
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::DeviceNotFound {
        device: path.display().to_string(),
        reason: "the array could not be assembled".to_owned(),
    }))
}

/// Stops the array over the legs, or under the volume's name when they are gone, and removes the name it may leave.
pub fn take_down(context: &Context, legs: &[DeviceName]) -> Result<()> {
    let root = &context.host.root;
    let Ok(path) = context.request.array_path() else { return Ok(()) };
    let array = legs.iter().find_map(|leg| md::array_over(root, leg)).or_else(|| md::named(root, &path));
    let Some(array) = array else { return Ok(()) };
    crate::devices::remove::refuse_if_used(&context.host, &array, &path.display().to_string())?;
    stop(context, &array)?;
    if attribute::named(&root.path(&path)) && !attribute::exists(&root.path(&path)) && context.host.runner.is_direct() {
        files::remove(root, &path)?;
    }
    Ok(())
}

/// Stopping writes out what is dirty.
fn stop(context: &Context, array: &DeviceName) -> Result<()> {
    let host = &context.host;
    let is_gone = || !md::is_array(&host.root, array) || block::slaves(&host.root, array).is_empty();
    let mut last = None;
    for _ in 0..STOPS {
        match mdadm::stop(host, &array.dev_path()) {
            Ok(()) => last = None,
            Err(error) => last = Some(error),
        }
        if wait::until_true(Instant::now() + BETWEEN_STOPS, is_gone) {
            return Ok(());
        }
    }
    Err(last.unwrap_or_else(|| Error::InUse {
        device: array.dev_path().display().to_string(),
        reason: "the array cannot be stopped".to_owned(),
    }))
}

/// Lets the array be as large as its legs; gives its size in bytes.
pub fn grow(context: &Context, legs: &[DeviceName]) -> Result<u64> {
    let host = &context.host;
    let path = context.request.array_path()?;
    if let Replicas::Mirror(count) = context.request.replicas
        && legs.len() < count
    {
        warn!(target: NVMEOF, "{}: {} of {count} replicas are there", path.display(), legs.len());
    }
    let over = legs.iter().find_map(|leg| md::array_over(&host.root, leg));
    let not_there = || Error::DeviceNotFound {
        device: path.display().to_string(),
        reason: "no array is assembled over the replicas".to_owned(),
    };
    let array = over.ok_or_else(not_there)?;
    mdadm::grow(host, &path)?;
    block::size(&host.root, &array).ok_or_else(not_there)
}
