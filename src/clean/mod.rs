//! Takes away what is left behind on the host and proven unused; `leftover.rs` says what counts as proof.
//!
//! A leftover is looked at twice: to say what would happen, and once more when no attach or detach runs on the host, in
//! the moment before it goes.

mod leftover;

use std::path::Path;
use std::time::Duration;

use log::{debug, info, warn};
use serde::Serialize;

use crate::error::Result;
use crate::host::Host;
use crate::host::programs::dmsetup;
use crate::inventory::orphans::{self, Finding, FindingKind};
use crate::inventory::records::{self, Kept};
use crate::inventory::{Answers, Inventory};
use crate::log::HOST;
use crate::transports::attachment;
use crate::transports::locks::Locks;

/// How long an attach or detach that is under way is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the operator chose.
#[derive(Debug, Clone, Copy)]
pub struct Choices<'a> {
    /// False: nothing is changed, and no lock taken.
    pub apply: bool,
    /// `[os_brick] lock_path` of the services.
    pub lock_path: &'a Path,
    /// `[os_brick] attachment_record_path` of the services.
    pub records: Option<&'a Path>,
    pub patience: Duration,
}

impl<'a> Choices<'a> {
    pub fn new(apply: bool, lock_path: &'a Path, records: Option<&'a Path>) -> Choices<'a> {
        Choices { apply, lock_path, records, patience: PATIENCE }
    }
}

/// What became of one leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Removed,
    /// It is unused, and would go if this were no dry run.
    WouldRemove,
    /// It is in use, or not proven unused; the reason says which.
    Left,
    /// It went without us.
    Gone,
    /// It could not be removed, or not whole.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub kind: FindingKind,
    pub subject: String,
    pub fate: Fate,
    /// Why it was left, or what failed.
    pub reason: Option<String>,
    /// What an operator would type instead.
    pub commands: Vec<String>,
}

/// The host as it is at one moment.
struct View {
    inventory: Inventory,
    kept: Vec<Kept>,
    findings: Vec<Finding>,
}

impl View {
    fn of(host: &Host, choices: &Choices<'_>) -> View {
        let root = &host.root;
        let mut inventory = Inventory::read(root);
        match dmsetup::open_counts(host) {
            Ok(counts) => inventory.add_open_counts(&counts),
            // Then no map is proven unused.
            Err(error) => debug!(target: HOST, "no open counts: {}", error.describe()),
        }
        // No disk is asked: what only an answer shows is not for us to mend.
        let mut findings = orphans::find_orphans(root, &inventory, &Answers::default());
        let mut kept = Vec::new();
        if let Some(directory) = choices.records {
            kept = records::read(root, directory, &|record| attachment::is_under_way(root, record));
            orphans::add_records(&mut findings, directory, &kept, &inventory);
        }
        View { inventory, kept, findings }
    }

    fn has(&self, finding: &Finding) -> bool {
        self.findings.iter().any(|now| (now.kind, &now.subject) == (finding.kind, &finding.subject))
    }
}

/// Looks for leftovers and, when asked to, removes those that are proven unused.
pub fn clean(host: &Host, choices: &Choices<'_>) -> Vec<Outcome> {
    let view = View::of(host, choices);
    view.findings.iter().map(|finding| treat(host, choices, &view, finding)).collect()
}

fn treat(host: &Host, choices: &Choices<'_>, view: &View, finding: &Finding) -> Outcome {
    let (fate, reason) = match leftover::proven(host, view, finding) {
        Err(reason) => (Fate::Left, Some(reason)),
        Ok(_) if !choices.apply => (Fate::WouldRemove, None),
        Ok(_) => remove(host, choices, finding).unwrap_or_else(|error| (Fate::Failed, Some(error.describe()))),
    };
    let said = reason.as_deref().unwrap_or("proven unused");
    match fate {
        Fate::Failed => warn!(target: HOST, "cleaning up {}: {said}", finding.subject),
        _ => info!(target: HOST, "cleaning up {}: {fate:?}, {said}", finding.subject),
    }
    Outcome { kind: finding.kind, subject: finding.subject.clone(), fate, reason, commands: finding.commands.clone() }
}

fn remove(host: &Host, choices: &Choices<'_>, finding: &Finding) -> Result<(Fate, Option<String>)> {
    let locks = Locks::new(&host.root, choices.lock_path);
    let Some(_alone) = locks.alone(choices.patience)? else {
        return Ok((Fate::Left, Some("an attach or detach is under way on this host".to_owned())));
    };
    let view = View::of(host, choices);
    if !view.has(finding) {
        return Ok((Fate::Gone, Some("it is not as it was any more".to_owned())));
    }
    match leftover::proven(host, &view, finding) {
        Err(reason) => Ok((Fate::Left, Some(reason))),
        Ok(leftover) => leftover.remove(host, choices).map(|left| match left {
            None => (Fate::Removed, None),
            Some(reason) => (Fate::Left, Some(reason)),
        }),
    }
}
