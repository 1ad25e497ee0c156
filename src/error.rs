//! The one error of the engine.
//!
//! Every variant says what failed, where and, where it is known, what to do.  `boundary/exceptions.rs` maps each of
//! them, without a wildcard, to the exception upstream raises.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub type Result<T> = std::result::Result<T, Error>;

/// How a program failed: its arguments (secrets masked), exit code and both outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFailure {
    pub argv: String,
    /// Exit code, or None when the program could not be started or was ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug, Clone, PartialEq, Error)]
pub enum Error {
    /// A connection property or setting that cannot be used.  Raised before the host is touched.
    #[error("{field}: {reason} (got {value})")]
    InvalidRequest { field: String, value: String, reason: String },

    #[error("Unable to find target portal {portal}: {reason}")]
    PortalNotFound { portal: String, reason: String },

    #[error("Unable to find target portal in {portals:?}: {reason}")]
    PortalsNotFound { portals: Vec<String>, reason: String },

    #[error("Volume device not found at {device}. {reason}")]
    DeviceNotFound { device: String, reason: String },

    /// Somebody else logged out of the session an attach was using.
    #[error("Volume device not found at {device}. The session ended while its disk was awaited")]
    SessionLost { device: String },

    #[error("We are unable to locate any Fibre Channel devices.")]
    NoFibreChannelHosts,

    #[error("Unable to find a Fibre Channel volume device. {reason}")]
    FibreChannelDeviceNotFound { reason: String },

    #[error("Could not find any paths for the volume. {reason}")]
    PathsNotFound { reason: String },

    #[error("Volume path {paths:?} was not removed in time.")]
    PathsNotRemoved { paths: Vec<String> },

    #[error("Multipathing is enforced but the host doesn't support multipathing: {reason}")]
    MultipathUnavailable { reason: String },

    /// The disk found is not, or cannot be proven to be, the volume asked for.
    #[error("Refusing to use {device}: {reason}")]
    WrongIdentity { device: String, reason: String },

    /// Something still uses the device; nothing was removed.
    #[error("{device} is in use: {reason}")]
    InUse { device: String, reason: String },

    #[error("All paths need to be up to extend the device: {reason}")]
    PathDown { reason: String },

    #[error("{program} failed", program = .0.argv)]
    Command(Box<CommandFailure>),

    #[error("{argv} did not finish within {after:?}")]
    CommandTimeout { argv: String, after: Duration },

    #[error("cannot {verb} {path}: {reason}")]
    Io { verb: &'static str, path: PathBuf, reason: String },

    #[error("{what} did not happen within {after:?}")]
    Timeout { what: String, after: Duration },

    #[error("the operation was cancelled: {reason}")]
    Cancelled { reason: String },

    /// A mistake of the engine's own.
    #[error("internal error in the engine, please report it: {message}")]
    Internal { message: String },

    /// An exception of the caller's own `execute=`, carried through unchanged in meaning.
    #[error("{message}")]
    Caller { message: String },
}

impl Error {
    pub fn io(verb: &'static str, path: &Path, error: &std::io::Error) -> Error {
        Error::Io { verb, path: path.to_path_buf(), reason: error.to_string() }
    }

    /// The value is shown as JSON, which is how it was given.
    pub fn invalid(field: &str, value: impl serde::Serialize, reason: impl Into<String>) -> Error {
        let value = serde_json::to_string(&value).unwrap_or_else(|_| "a value that cannot be shown".to_owned());
        Error::InvalidRequest { field: field.to_owned(), value, reason: reason.into() }
    }

    /// The exit code of the program that failed, when a program failed.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Error::Command(failure) => failure.code,
            _ => None,
        }
    }

    /// One line for a log: for a failed program also its code and what it wrote.
    pub fn describe(&self) -> String {
        match self {
            Error::Command(failure) => format!(
                "{}: exit {}: {}",
                failure.argv,
                failure.code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
                last_line(if failure.stderr.trim().is_empty() { &failure.stdout } else { &failure.stderr }),
            ),
            other => other.to_string(),
        }
    }
}

fn last_line(text: &str) -> &str {
    text.trim().lines().next_back().unwrap_or("").trim()
}
