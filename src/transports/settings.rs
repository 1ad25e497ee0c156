//! What the operator and the connector chose, as the boundary hands it over.

use std::path::{Component, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub use_multipath: bool,
    /// `default`, `iser` or the name of an open-iscsi interface.
    pub interface: String,
    /// How often the scan for a LUN is repeated.
    pub device_scan_attempts: u32,
    /// `[os_brick] lock_path`: one directory for all services of the host.
    pub lock_path: PathBuf,
    /// `[os_brick] portal_grace_period`: how long an attach that could return waits for the other portals.
    pub portal_grace_period: Duration,
    /// `[os_brick] enforce_identity`
    pub enforce_identity: bool,
    /// How long a map that exists may take until I/O to it can succeed.
    pub map_ready_timeout: Duration,
    /// `[os_brick] attachment_record_path`: where attaches and detaches are written down; None for nowhere.
    pub attachment_record_path: Option<PathBuf>,
}

/// For calls that only look: the service names the directory of every call that takes a lock.
const LOCK_PATH: &str = "/run/lock";

impl Settings {
    pub fn read(values: &Map<String, Value>) -> Result<Settings> {
        let lock_path = PathBuf::from(text(values, "lock_path")?.unwrap_or_else(|| LOCK_PATH.to_owned()));
        if !lock_path.is_absolute() {
            return Err(Error::invalid("lock_path", lock_path, "an absolute directory is needed"));
        }
        let interface = text(values, "interface")?.unwrap_or_else(|| "default".to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        if interface.is_empty() || interface.starts_with('-') || !interface.chars().all(plain) {
            return Err(Error::invalid("interface", interface, "not the name of an open-iscsi interface"));
        }
        let attempts = number(values, "wait_mpath_device_attempts")?.unwrap_or(4.0).clamp(1.0, 16.0);
        let interval = number(values, "wait_mpath_device_interval")?.unwrap_or(1.0);
        let grace = number(values, "portal_grace_period")?.unwrap_or(2.0);
        let scans = number(values, "device_scan_attempts")?.unwrap_or(3.0);
        Ok(Settings {
            use_multipath: flag(values, "use_multipath")?,
            interface,
            // Bounded by what is useful, not by what fits.
            device_scan_attempts: if scans >= 1.0 { scans.min(100.0) as u32 } else { 1 },
            lock_path,
            portal_grace_period: seconds("portal_grace_period", grace)?,
            enforce_identity: flag(values, "enforce_identity")?,
            // Upstream asks `attempts` times, 2, 4, 8 ... intervals apart: the same patience, looked at more often.
            attachment_record_path: directory(values, "attachment_record_path")?,
            map_ready_timeout: seconds("wait_mpath_device_interval", interval * (attempts.exp2() - 2.0).max(1.0))?,
        })
    }
}

fn seconds(field: &str, value: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| Error::invalid(field, value, "a number of seconds from 0 to 86400 is needed"))
}

/// An absolute directory without `..`, or None.
fn directory(values: &Map<String, Value>, key: &str) -> Result<Option<PathBuf>> {
    let Some(path) = text(values, key)?.map(PathBuf::from) else { return Ok(None) };
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(Error::invalid(key, path, "an absolute directory without .. is needed"));
    }
    Ok(Some(path))
}

fn flag(values: &Map<String, Value>, key: &str) -> Result<bool> {
    match values.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Error::invalid(key, other, "true or false is needed")),
    }
}

fn text(values: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match values.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Error::invalid(key, other, "a string is needed")),
    }
}

fn number(values: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
    match values.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(other) => Err(Error::invalid(key, other, "a number is needed")),
    }
}
