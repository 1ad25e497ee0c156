//! The texts of fresh node records, kept for the records after them.
//!
//! One thread makes what is missing, the others wait for it.  They wait for that text alone and not for ever: a
//! database that stays busy, or a hung `iscsiadm`, holds up nobody who needs another one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Everything a fresh record's text depends on: host, interface, and the content of their files.
pub type Key = (PathBuf, String, Vec<u8>);

enum Template {
    BeingMade,
    Made(String),
}

static TEMPLATES: Mutex<Option<HashMap<Key, Template>>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

fn templates() -> MutexGuard<'static, Option<HashMap<Key, Template>>> {
    // No step under the lock leaves the table half changed.
    TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread that needs a record has to do.
pub enum Task {
    /// Fill in this text.
    Fill(String),
    /// Make a record and say what came of it.
    Make(Making),
}

/// The right to make a text.  Dropped without one, it is the next thread's to try.
pub struct Making {
    key: Key,
}

impl Making {
    pub fn made(self, text: String) {
        templates().get_or_insert_default().insert(self.key.clone(), Template::Made(text));
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut templates = templates();
        let all = templates.get_or_insert_default();
        if matches!(all.get(&self.key), Some(Template::BeingMade)) {
            all.remove(&self.key);
        }
        CHANGED.notify_all();
    }
}

/// Gives the text, if need be after another thread has made it.  After the deadline, or when that thread had no
/// success, the caller makes its own.
pub fn take(key: Key, deadline: Instant) -> Task {
    let being_made = |all: &mut Option<HashMap<Key, Template>>| {
        matches!(all.get_or_insert_default().get(&key), Some(Template::BeingMade))
    };
    let patience = deadline.saturating_duration_since(Instant::now());
    let waited = CHANGED.wait_timeout_while(templates(), patience, being_made);
    let (mut templates, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let all = templates.get_or_insert_default();
    if let Some(Template::Made(text)) = all.get(&key) {
        return Task::Fill(text.clone());
    }
    all.insert(key.clone(), Template::BeingMade);
    Task::Make(Making { key })
}
