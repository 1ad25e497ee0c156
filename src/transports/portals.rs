//! Which portals answer.
//!
//! A portal that does not answer is never given to iscsid, because a login cannot be taken back; and an attach that
//! can go on without it does not wait for it twice within five minutes.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::host::act::probe;
use crate::identifiers::Portal;

/// How long an answer to a TCP connection may take: lost packets (1 s, then 2 s) are forgiven.
const ANSWER: Duration = Duration::from_secs(5);
/// How long one question may keep an attach or detach waiting that has no use for the answer any more.
const ONE_QUESTION: Duration = Duration::from_millis(1250);
/// How long a failure is remembered.
const MEMORY: Duration = Duration::from_secs(300);

static FAILED: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

/// Asks a portal over TCP.
pub fn ask(portal: &Portal, timeout: Duration) -> Result<()> {
    match probe::portal(portal, timeout) {
        Ok(()) => Ok(()),
        Err(error) => Err(Error::PortalNotFound {
            portal: portal.to_string(),
            reason: match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "connection refused: no target listens there".to_owned(),
                std::io::ErrorKind::TimedOut => {
                    format!("no answer within {:.1} s", timeout.as_secs_f64())
                }
                _ => error.to_string(),
            },
        }),
    }
}

/// Asks until there is an answer, the time is up, or the answer is not wanted any more.  "Refused" is an answer.
///
/// Whoever begins meanwhile does not wait for it: silence is remembered from the first question on.
pub fn wait_for_answer(portal: &Portal, wanted: &dyn Fn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + ANSWER;
    let mut was_silent = false;
    loop {
        wanted()?;
        let asked = Instant::now();
        let outcome = ask(portal, ONE_QUESTION);
        let silent = outcome.is_err() && asked.elapsed() >= ONE_QUESTION;
        if !silent {
            if was_silent && outcome.is_ok() {
                forget_failed(portal);
            }
            return outcome;
        }
        was_silent = true;
        remember_failed(portal);
        if Instant::now() >= deadline {
            let reason = format!("no answer within {} s", ANSWER.as_secs());
            return Err(Error::PortalNotFound { portal: portal.to_string(), reason });
        }
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
