//! What the threads of one attach share, and what each of them does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use log::debug;

use crate::error::{Error, Result};
use crate::fan_out;
use crate::log::ISCSI;
use crate::transports::locks::Operation;

use super::join::{self, Volume};
use super::operation::Context;
use super::path::{self, Path, Stop, Turn};
use super::request::Target;

/// What the threads of one attach share.
pub struct Crew {
    pub context: Context,
    pub inbox: Mutex<Inbox>,
    pub arrived: Condvar,
    pub turn: Turn,
    pub abort: AtomicBool,
    /// Set when the attach returned: what late paths have to belong to.
    pub volume: OnceLock<Volume>,
    /// The locks, kept until the last thread is done.
    pub operation: Mutex<Option<Operation>>,
}

/// What the threads brought and nobody has taken yet.
#[derive(Default)]
pub struct Inbox {
    /// The attach has returned or failed: a thread deals with its path itself.
    pub closed: bool,
    pub news: Vec<(usize, Result<Path>)>,
}

impl Crew {
    pub fn new(context: Context, operation: Operation) -> Crew {
        Crew {
            context,
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            turn: Turn::default(),
            abort: AtomicBool::new(false),
            volume: OnceLock::new(),
            operation: Mutex::new(Some(operation)),
        }
    }

    /// What has arrived; waits for it at most `timeout`.
    pub fn wait_for_news(&self, timeout: Duration) -> Vec<(usize, Result<Path>)> {
        let Ok(inbox) = self.inbox.lock() else { return Vec::new() };
        match self.arrived.wait_timeout_while(inbox, timeout, |inbox| inbox.news.is_empty()) {
            Ok((mut inbox, _)) => std::mem::take(&mut inbox.news),
            Err(_) => Vec::new(),
        }
    }
}

impl Stop for Crew {
    fn check(&self) -> Result<()> {
        let cancelled = |reason: &str| Err(Error::Cancelled { reason: reason.to_owned() });
        if self.abort.load(Ordering::Acquire) {
            return cancelled("the attach failed");
        }
        if join::is_stopped() {
            return cancelled("the process ends");
        }
        if self.volume.get().is_some() && self.context.locks.is_claimed(&self.context.volumes())? {
            return cancelled("the volume is being detached or attached again");
        }
        Ok(())
    }
}

/// Brings one path up and hands it in; after the attach has ended, settles it alone.
pub fn work(crew: &Arc<Crew>, index: usize, target: &Target) {
    // Whatever happens here is told: the attach waits for it.
    let outcome = fan_out::contained(|| path::bring_up(&crew.context, target, Some(&crew.turn), crew.as_ref()));
    let outcome = {
        let Ok(mut inbox) = crew.inbox.lock() else {
            return;
        };
        if inbox.closed {
            outcome
        } else {
            inbox.news.push((index, outcome));
            drop(inbox);
            crew.arrived.notify_all();
            return;
        }
    };
    match crew.volume.get() {
        Some(volume) => join::settle(&crew.context, volume, target, outcome),
        // The attach failed and did not wait for us.
        None => {
            if let Ok(path) = outcome
                && let Err(error) = path::take_down(&crew.context, path)
            {
                debug!(target: ISCSI, "{target}: {}", error.describe());
            }
        }
    }
}
