//! What is attached is written down before the host is touched and again after it, for whoever looks after a crash.
//!
//! A record begins under the volume's locks.  Whoever ends it may have handed them on by then, so it is changed only while
//! it is still that operation's.  A record that cannot be written is a warning, never a failed attach.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{debug, warn};
use serde_json::{Map, Value};

use crate::devices::multipath;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::act::lock::{self, Held, Mode, fnv1a};
use crate::host::act::private_directory::PrivateDirectory;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::attachment_record::{self, Made, Record, State};
use crate::host::view::scsi;
use crate::identifiers::DeviceName;
use crate::log::HOST;

use super::locks::Locks;
use super::settings::Settings;

/// Nobody looks at a record and writes it for longer than a slow disk takes.
const QUEUE: Duration = Duration::from_secs(10);

/// The volume an operation is about.
pub struct Subject {
    pub host: Host,
    pub protocol: &'static str,
    /// The names it is locked by.
    pub volume: Vec<String>,
    /// See `properties::shown`.
    pub asked: Map<String, Value>,
    /// The volume's disks or namespaces on the host.
    pub present: Box<dyn Fn() -> Vec<DeviceName> + Send + Sync>,
}

/// The record of one operation; nothing when none are kept.
#[derive(Clone)]
pub struct Entry(Option<Arc<Open>>);

struct Open {
    subject: Subject,
    directory: PathBuf,
    locks: Locks,
    file: String,
    /// What was recorded before, since the host was started.
    was: Option<Record>,
    /// The volume's disks before.
    before: Vec<DeviceName>,
    record: Record,
}

impl Entry {
    /// Written before an attach touches the host.
    pub fn attaching(settings: &Settings, subject: Subject) -> Entry {
        Entry::begin(settings, subject, State::Attaching)
    }

    /// Written before a detach touches the host.
    pub fn detaching(settings: &Settings, subject: Subject) -> Entry {
        Entry::begin(settings, subject, State::Detaching)
    }

    fn begin(settings: &Settings, subject: Subject, state: State) -> Entry {
        let Some(directory) = &settings.attachment_record_path else { return Entry(None) };
        let open = Open::new(settings, directory.clone(), subject, state);
        let written = open.alone().and_then(|_lock| open.write(&open.record));
        if let Err(error) = written {
            complain(&error);
            return Entry(None);
        }
        Entry(Some(Arc::new(open)))
    }

    /// The attach is done: `path` is what the caller gets.
    pub fn attached(&self, path: &str) {
        let Some(open) = &self.0 else { return };
        let made = open.made(path);
        open.settle(|| {
            open.write(&Record { state: State::Attached, time: now(), made: Some(made), ..open.record.clone() })
        });
    }

    /// The operation failed.  What it left as it found it has the record it had; what is half done stays so recorded.
    pub fn failed(&self) {
        let Some(open) = &self.0 else { return };
        let left = (open.subject.present)();
        let is_as_before = match open.record.state {
            State::Detaching => open.before.iter().all(|disk| left.contains(disk)),
            _ => left.iter().all(|disk| open.before.contains(disk)),
        };
        if !is_as_before {
            debug!(target: HOST, "{} stays half done: {left:?} of {:?}", open.file, open.before);
            return;
        }
        open.settle(|| match &open.was {
            Some(was) => open.write(was),
            None => open.remove(),
        });
    }

    /// The detach is done, with or without errors that force went past.
    pub fn detached(&self, without_errors: bool) {
        let Some(open) = &self.0 else { return };
        // A namespace stays until its storage unmaps it, so what is left says nothing of a detach without errors.
        if without_errors || (open.subject.present)().is_empty() {
            open.settle(|| open.remove());
        }
    }
}

/// Whether somebody attaches or detaches a record's volume right now.
pub fn is_under_way(root: &Root, record: &Record) -> bool {
    let directory = Path::new(&record.lock_path);
    // Looking must not make a lock file where there is none.
    let locks = Locks::new(root, directory);
    if !directory.is_absolute() || !locks.are_in_use() {
        return false;
    }
    locks.is_claimed(&record.volume).unwrap_or_else(|error| {
        debug!(target: HOST, "{}", error.describe());
        false
    })
}

impl Open {
    fn new(settings: &Settings, directory: PathBuf, subject: Subject, state: State) -> Open {
        let root = &subject.host.root;
        let own = attachment_record::file_name(subject.protocol, fnv1a(subject.volume.join("\n").as_bytes()));
        // A detach may name fewer paths than the attach did: any name in common makes it the same volume.
        let known = attachment_record::read(root, &directory, &own).map(|record| (own.clone(), record)).or_else(|| {
            let all = attachment_record::all(root, &directory);
            all.into_iter().find(|(_, record)| record.is_of(subject.protocol, &subject.volume))
        });
        let (file, was) = known.map_or((own, None), |(file, record)| (file, Some(record)));
        let boot_id = attachment_record::boot_id(root);
        // What was made before the host was started is gone, and so is what would have to be put back.
        let was = was.filter(|was| !was.is_stale(&boot_id));
        let record = Record {
            state,
            protocol: subject.protocol.to_owned(),
            boot_id,
            time: now(),
            operation: operation(),
            volume: subject.volume.clone(),
            lock_path: settings.lock_path.display().to_string(),
            asked: subject.asked.clone(),
            // What is being detached is still what was made.
            made: was.as_ref().and_then(|was| was.made.clone()),
        };
        let before = (subject.present)();
        Open { locks: Locks::new(root, &settings.lock_path), directory, file, was, before, record, subject }
    }

    fn alone(&self) -> Result<Held> {
        lock::acquire(&self.locks.record(&self.file), Mode::Exclusive, Instant::now() + QUEUE)
    }

    /// Changes the record unless another operation on the volume has begun, which may be when the locks are handed on.
    fn settle(&self, change: impl FnOnce() -> Result<()>) {
        let root = &self.subject.host.root;
        let changed = self.alone().and_then(|_lock| {
            let now = attachment_record::read(root, &self.directory, &self.file);
            if now.is_some_and(|now| now.operation == self.record.operation) { change() } else { Ok(()) }
        });
        if let Err(error) = changed {
            complain(&error);
        }
    }

    fn write(&self, record: &Record) -> Result<()> {
        let mut text = serde_json::to_string_pretty(record).map_err(|error| Error::Io {
            verb: "write",
            path: self.directory.join(&self.file),
            reason: error.to_string(),
        })?;
        text.push('\n');
        PrivateDirectory::open(&self.subject.host.root, &self.directory)?.write(&self.file, text.as_bytes())
    }

    fn remove(&self) -> Result<()> {
        PrivateDirectory::open(&self.subject.host.root, &self.directory)?.remove(&self.file)
    }

    fn made(&self, path: &str) -> Made {
        let host = &self.subject.host;
        let disks = (self.subject.present)();
        let map = multipath::find_map(host, &disks);
        let of_disk = || disks.first().and_then(|disk| scsi::wwid(&host.root, disk)).map(|wwid| wwid.to_string());
        let of_namespace =
            || disks.first().and_then(|disk| attribute::text(&host.root.path(format!("/sys/block/{disk}/wwid"))));
        Made {
            path: path.to_owned(),
            identity: map.as_ref().map(|map| map.wwid.to_string()).or_else(of_disk).or_else(of_namespace),
            map: map.map(|map| map.device.to_string()),
            disks: disks.iter().map(ToString::to_string).collect(),
        }
    }
}

fn complain(error: &Error) {
    warn!(target: HOST, "attachment record: {}", error.describe());
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name no other operation of this host has.
fn operation() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{nanos:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
