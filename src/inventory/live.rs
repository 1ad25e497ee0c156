//! What the disks say of themselves now.
//!
//! Asking can hang on a dead path.  So paths that are known to be down are not asked, each question is given up after
//! a few seconds, a connection that was silent once is not asked again, and all of it ends in time.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::Host;
use crate::host::act::bounded;
use crate::host::act::inquiry::{self, Answer};
use crate::identifiers::DeviceName;

use super::Inventory;
use super::volume::{Kind, Path};

/// How long one disk has, and how long all of them.
const ONE_DISK: Duration = Duration::from_secs(5);
const ALL_DISKS: Duration = Duration::from_secs(60);

/// How a disk is asked; a test has disks of its own.
pub type Question = dyn Fn(&Host, &DeviceName) -> Result<Answer> + Send + Sync;

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    pub by_disk: BTreeMap<DeviceName, Answer>,
    pub silent: Vec<Silent>,
}

/// A disk that gave no answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    pub device: DeviceName,
    pub reason: String,
}

/// Asks every SCSI disk of the inventory.
pub fn ask(host: &Host, inventory: &Inventory) -> Answers {
    let question: Arc<Question> = Arc::new(|host, disk| inquiry::identity_page(&host.root, disk, ONE_DISK));
    ask_with(host, inventory, &question, ONE_DISK, ALL_DISKS)
}

pub fn ask_with(host: &Host, inventory: &Inventory, question: &Arc<Question>, one: Duration, all: Duration) -> Answers {
    let deadline = Instant::now() + all;
    let paths: Vec<&Path> =
        inventory.paths().filter(|(volume, _)| volume.kind != Kind::Namespace).map(|(_, path)| path).collect();
    let hanging: Mutex<HashSet<String>> = Mutex::default();
    let outcomes = fan_out(&paths, |path| {
        if !path.usable {
            return Err(format!("not asked: {}", state_of(path)));
        }
        if Instant::now() >= deadline {
            return Err("not asked: the others took too long".to_owned());
        }
        let connection = connection_of(path);
        if hanging.lock().is_ok_and(|hanging| hanging.contains(&connection)) {
            return Err("not asked: another disk of the same connection did not answer".to_owned());
        }
        let (host, disk, question) = (host.clone(), path.device.clone(), Arc::clone(question));
        let answer = bounded::within(&format!("an answer of {disk}"), one, move || question(&host, &disk));
        if let (Err(Error::Timeout { .. }), Ok(mut hanging)) = (&answer, hanging.lock()) {
            hanging.insert(connection);
        }
        answer.map_err(|error| error.to_string())
    });
    let mut answers = Answers::default();
    for (path, outcome) in paths.iter().zip(outcomes) {
        match outcome {
            Ok(answer) => drop(answers.by_disk.insert(path.device.clone(), answer)),
            Err(reason) => answers.silent.push(Silent { device: path.device.clone(), reason }),
        }
    }
    answers.silent.sort_by(|one, other| super::by_number(&one.device, &other.device));
    answers
}

/// Disks that hang together: of one session or remote port, else of one target.
fn connection_of(path: &Path) -> String {
    let target = || path.address.rsplit_once(':').map_or(path.address.as_str(), |(target, _lun)| target).to_owned();
    path.connection.name.clone().unwrap_or_else(target)
}

fn state_of(path: &Path) -> String {
    let unknown = || "unknown".to_owned();
    let disk = format!("the disk is {}", path.state.clone().unwrap_or_else(unknown));
    match (&path.connection.name, &path.connection.state) {
        (Some(name), state) => format!("{disk}, {name} is {}", state.clone().unwrap_or_else(unknown)),
        _ => disk,
    }
}
