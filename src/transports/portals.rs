//! Which portals answer.
//!
//! A portal that does not answer is never given to iscsid, because a login cannot be taken back; and an attach that
//! can go on without it does not wait for it twice within five minutes.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::host::act::probe::Knock;
use crate::identifiers::Portal;

/// How long an answer to a TCP connection may take: lost packets (1 s, then 2 s) are forgiven.
const ANSWER: Duration = Duration::from_secs(5);
/// A portal that has not answered by then is remembered as one that failed, for as long as it does not answer.
const SILENT: Duration = Duration::from_millis(1250);
/// An attach or detach that has no use for the answer any more waits no longer than this.
const STEP: Duration = Duration::from_millis(20);
/// How long a failure is remembered.
const MEMORY: Duration = Duration::from_secs(300);

static FAILED: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

/// Asks a portal over TCP.
pub fn ask(portal: &Portal, timeout: Duration) -> Result<()> {
    let outcome = Knock::begin(portal).and_then(|knock| knock.answer(timeout));
    as_answer(portal, outcome, timeout)
}

fn as_answer(portal: &Portal, outcome: io::Result<Option<()>>, after: Duration) -> Result<()> {
    let reason = match outcome {
        Ok(Some(())) => return Ok(()),
        Ok(None) => format!("no answer within {:.1} s", after.as_secs_f64()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: no target listens there".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(Error::PortalNotFound { portal: portal.to_string(), reason })
}

/// Asks until there is an answer, the time is up, or the answer is not wanted any more.  "Refused" is an answer.
///
/// Whoever begins meanwhile does not wait for it: silence is remembered soon.
pub fn wait_for_answer(portal: &Portal, wanted: &dyn Fn() -> Result<()>) -> Result<()> {
    let asked = Instant::now();
    let knock = match Knock::begin(portal) {
        Ok(knock) => knock,
        Err(error) => return as_answer(portal, Err(error), ANSWER),
    };
    let mut was_silent = false;
    loop {
        wanted()?;
        let outcome = knock.answer(STEP);
        let is_up = asked.elapsed() >= ANSWER;
        if matches!(outcome, Ok(None)) && !is_up {
            if !was_silent && asked.elapsed() >= SILENT {
                was_silent = true;
                remember_failed(portal);
            }
            continue;
        }
        if was_silent && matches!(outcome, Ok(Some(()))) {
            forget_failed(portal);
        }
        return as_answer(portal, outcome, ANSWER);
    }
}

pub fn remember_failed(portal: &Portal) {
    if let Ok(mut failed) = FAILED.lock() {
        let failed = failed.get_or_insert_default();
        failed.retain(|_, since| since.elapsed() < MEMORY);
        failed.insert(portal.key(), Instant::now());
    }
}

pub fn forget_failed(portal: &Portal) {
    if let Ok(mut failed) = FAILED.lock() {
        failed.get_or_insert_default().remove(&portal.key());
    }
}

/// Whether the portal failed within the last five minutes.
pub fn failed_lately(portal: &Portal) -> bool {
    FAILED.lock().is_ok_and(|failed| {
        failed.as_ref().and_then(|failed| failed.get(&portal.key())).is_some_and(|since| since.elapsed() < MEMORY)
    })
}
