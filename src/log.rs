//! What the engine says.
//!
//! Log targets are the logger names operators filter by; the phases of an operation become its one INFO line.

use std::time::{Duration, Instant};

/// Logger of everything iSCSI, below `os_brick` so that service log levels apply.
pub const ISCSI: &str = "os_brick.engine.iscsi";
/// Logger of everything NVMe-oF.
pub const NVMEOF: &str = "os_brick.engine.nvmeof";
/// Logger of everything Fibre Channel.
pub const FIBRE_CHANNEL: &str = "os_brick.engine.fibre_channel";
/// Logger of device discovery, multipath and removal.
pub const DEVICES: &str = "os_brick.engine.devices";
/// Logger of programs run and files written.
pub const HOST: &str = "os_brick.engine.host";

/// The phases of one operation, each with the time since the phase before it, and what it had to do without.
pub struct Phases {
    start: Instant,
    last: Instant,
    done: Vec<(String, Duration)>,
    missing: Vec<String>,
}

impl Default for Phases {
    fn default() -> Self {
        Self::new()
    }
}

impl Phases {
    pub fn new() -> Phases {
        let now = Instant::now();
        Phases { start: now, last: now, done: Vec::new(), missing: Vec::new() }
    }

    /// Ends the current phase under the given name.
    pub fn end(&mut self, name: impl Into<String>) {
        let now = Instant::now();
        self.done.push((name.into(), now - self.last));
        self.last = now;
    }

    /// Something that was measured elsewhere, beside the other phases.
    pub fn note(&mut self, name: impl Into<String>, took: Duration) {
        self.done.push((name.into(), took));
    }

    /// The next phase begins now.
    pub fn go_on(&mut self) {
        self.last = Instant::now();
    }

    /// Something the operation wanted and did not get.
    pub fn miss(&mut self, what: &impl std::fmt::Display, why: &str) {
        self.missing.push(format!("{what} ({why})"));
    }

    /// `, without 10.0.0.3:3260 ... (no answer), ...`; nothing when nothing is missing.
    pub fn without(&self) -> String {
        if self.missing.is_empty() { String::new() } else { format!(", without {}", self.missing.join(" and ")) }
    }

    pub fn total(&self) -> Duration {
        self.start.elapsed()
    }

    /// `login 0.210 s, device 0.055 s, total 0.301 s`
    pub fn line(&self) -> String {
        let mut parts: Vec<String> =
            self.done.iter().map(|(name, took)| format!("{name} {:.3} s", took.as_secs_f64())).collect();
        parts.push(format!("total {:.3} s", self.total().as_secs_f64()));
        parts.join(", ")
    }
}
