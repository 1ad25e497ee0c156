//! Attaching a volume.

use std::sync::Arc;

use log::{info, warn};

use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::Host;
use crate::host::view::nvme_core;
use crate::log::{NVMEOF, Phases};
use crate::transports::attachment::Entry;
use crate::transports::settings::Settings;

use super::coordinate::{self, Outcome};
use super::crew::Claim;
use super::operation::Context;
use super::raid;
use super::request::{Replicas, Request};

/// What `connect_volume` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `/dev/nvmeXnY` or `/dev/md/ALIAS`
    pub path: String,
}

/// Attaches the volume.  On failure everything this call made is taken away again and the first error is returned.
pub fn connect(host: &Host, request: &Request, settings: &Settings) -> Result<Attachment> {
    check_multipath(host, request, settings)?;
    if request.replicas != Replicas::None {
        request.array_path()?;
    }
    let mut phases = Phases::new();
    match attach(host, request, settings, &mut phases) {
        Ok(path) => {
            info!(target: NVMEOF, "attached {} as {path}: {}", request.targets[0], phases.line());
            Ok(Attachment { path })
        }
        Err(error) => {
            let line = phases.line();
            warn!(target: NVMEOF, "attach of {} failed: {} ({line})", request.targets[0], error.describe());
            Err(error)
        }
    }
}

/// Whether the host can do multipath as the caller wants it.
fn check_multipath(host: &Host, request: &Request, settings: &Settings) -> Result<()> {
    if !settings.use_multipath || nvme_core::is_multipath(&host.root) {
        return Ok(());
    }
    let reason = "native multipath of NVMe is off (nvme_core.multipath)".to_owned();
    if request.enforce_multipath {
        return Err(Error::MultipathUnavailable { reason });
    }
    warn!(target: NVMEOF, "Multipathing is requested but the host doesn't support multipathing: {reason}");
    Ok(())
}

fn attach(host: &Host, request: &Request, settings: &Settings, phases: &mut Phases) -> Result<String> {
    let context = Arc::new(Context::new(host, request.clone(), settings.clone()));
    let claim = Claim::new(context.locks.operation(&context.volumes())?);
    phases.end("lock");
    let entry = Entry::attaching(settings, context.subject());
    let attached = bring_up(&context, &claim, &entry, phases);
    if attached.is_err() {
        entry.failed();
    }
    attached
}

fn bring_up(context: &Arc<Context>, claim: &Claim, entry: &Entry, phases: &mut Phases) -> Result<String> {
    let request = &context.request;
    let mut outcomes = namespaces(context, claim)?;
    phases.end(format!("{} namespace(s)", outcomes.len()));
    let path = match request.replicas {
        Replicas::None => Ok(outcomes[0].device.dev_path()),
        _ => raid::bring_up(context, &outcomes.iter().map(|outcome| outcome.device.clone()).collect::<Vec<_>>()),
    };
    match path {
        Ok(path) => {
            if request.replicas != Replicas::None {
                phases.end("array");
            }
            // While the locks are held.
            let path = path.display().to_string();
            entry.attached(&path);
            // Before anything goes on alone, which ends when somebody claims the volume: this attach no longer does.
            claim.hand_over()?;
            outcomes.drain(..).for_each(Outcome::settle);
            Ok(path)
        }
        Err(error) => {
            outcomes.drain(..).for_each(Outcome::take_back);
            Err(error)
        }
    }
}

/// The namespace of every target.  A mirror may lack some, but not all.
fn namespaces(context: &Arc<Context>, claim: &Claim) -> Result<Vec<Outcome>> {
    let targets = &context.request.targets;
    let mut outcomes = Vec::new();
    let mut first_error = None;
    for (target, outcome) in targets.iter().zip(fan_out(targets, |target| coordinate::connect(context, target, claim)))
    {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                warn!(target: NVMEOF, "{target}: {}", error.describe());
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if outcomes.is_empty() => Err(error),
        _ => Ok(outcomes),
    }
}
