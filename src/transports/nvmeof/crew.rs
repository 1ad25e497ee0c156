//! What the threads of one target share, and what each of them does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::identifiers::{DeviceName, FabricPortal};
use crate::transports::locks::Operation;

use super::controller::{self, InUse, Stop};
use super::join;
use super::operation::Context;
use super::request::Target;

/// The locks of an attach, kept until its last thread is done.
#[derive(Clone)]
pub struct Claim(Arc<Mutex<Option<Operation>>>);

impl Claim {
    pub fn new(operation: Operation) -> Claim {
        Claim(Arc::new(Mutex::new(Some(operation))))
    }

    /// The attach has returned and threads go on: from now on they share the locks, and who claims the volume stops them.
    pub fn hand_over(&self) -> Result<()> {
        match self.0.lock() {
            Ok(mut operation) => operation.as_mut().map_or(Ok(()), Operation::hand_over),
            Err(_) => Ok(()),
        }
    }
}

/// What the threads of one target share.
pub struct Crew {
    pub context: Arc<Context>,
    pub target: Target,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    abort: AtomicBool,
    /// Set when the attach returned: the device late paths belong to.
    pub device: OnceLock<DeviceName>,
    _claim: Claim,
}

/// What the threads brought and nobody has taken yet.
#[derive(Default)]
struct Inbox {
    /// The attach has returned or failed: a thread deals with its path itself.
    closed: bool,
    news: Vec<(usize, Result<InUse>)>,
}

impl Crew {
    pub fn new(context: &Arc<Context>, target: &Target, claim: &Claim) -> Crew {
        Crew {
            context: Arc::clone(context),
            target: target.clone(),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            abort: AtomicBool::new(false),
            device: OnceLock::new(),
            _claim: claim.clone(),
        }
    }

    pub fn abort(&self) {
        self.abort.store(true, Ordering::Release);
    }

    /// What has arrived; waits for it at most `timeout`.
    pub fn wait_for_news(&self, timeout: Duration) -> Vec<(usize, Result<InUse>)> {
        let Ok(inbox) = self.inbox.lock() else { return Vec::new() };
        match self.arrived.wait_timeout_while(inbox, timeout, |inbox| inbox.news.is_empty()) {
            Ok((mut inbox, _)) => std::mem::take(&mut inbox.news),
            Err(_) => Vec::new(),
        }
    }

    /// Nothing is taken any more; what arrived in the last moment is given out.
    pub fn close(&self) -> Vec<(usize, Result<InUse>)> {
        let Ok(mut inbox) = self.inbox.lock() else { return Vec::new() };
        inbox.closed = true;
        std::mem::take(&mut inbox.news)
    }
}

impl Stop for Crew {
    fn check(&self) -> Result<()> {
        let cancelled = |reason: &str| Err(Error::Cancelled { reason: reason.to_owned() });
        if self.abort.load(Ordering::Acquire) {
            return cancelled("the attach has ended");
        }
        if join::is_stopped() {
            return cancelled("the process ends");
        }
        if self.device.get().is_some() && self.context.locks.is_claimed(&self.context.volumes())? {
            return cancelled("the volume is being detached or attached again");
        }
        Ok(())
    }
}

/// Brings one path up and hands it in; after the attach has ended, settles it alone.
pub fn work(crew: &Arc<Crew>, index: usize, portal: &FabricPortal) {
    let outcome = controller::ensure(&crew.context, &crew.target, portal, crew.as_ref());
    let Ok(mut inbox) = crew.inbox.lock() else { return };
    if !inbox.closed {
        inbox.news.push((index, outcome));
        drop(inbox);
        crew.arrived.notify_all();
        return;
    }
    drop(inbox);
    match crew.device.get() {
        Some(device) => join::settle(crew, device, portal, outcome),
        // The attach failed and did not wait for us.
        None => join::take_down(&crew.context, &crew.target, outcome),
    }
}
