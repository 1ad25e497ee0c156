//! From the engine's error to the exception upstream raises.  The classes are Python's (`os_brick/exception.py`).

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Error;

const OURS: &str = "os_brick.exception";
const PROCESSUTILS: &str = "oslo_concurrency.processutils";

/// Which exception an error is.  No wildcard: a new variant does not compile until it has one.
fn class(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::InvalidRequest { .. } => (OURS, "InvalidParameterValue"),
        Error::PortalNotFound { .. } => (OURS, "TargetPortalNotFound"),
        Error::PortalsNotFound { .. } => (OURS, "TargetPortalsNotFound"),
        Error::DeviceNotFound { .. } | Error::SessionLost { .. } => (OURS, "VolumeDeviceNotFound"),
        Error::NoFibreChannelHosts => (OURS, "NoFibreChannelHostsFound"),
        Error::FibreChannelDeviceNotFound { .. } => (OURS, "NoFibreChannelVolumeDeviceFound"),
        Error::PathsNotFound { .. } => (OURS, "VolumePathsNotFound"),
        Error::PathsNotRemoved { .. } => (OURS, "VolumePathNotRemoved"),
        Error::MultipathUnavailable { .. }
        | Error::WrongIdentity { .. }
        | Error::InUse { .. }
        | Error::PathDown { .. }
        | Error::Io { .. }
        | Error::Timeout { .. }
        | Error::Cancelled { .. }
        | Error::Internal { .. }
        | Error::Caller { .. } => (OURS, "BrickException"),
        Error::Command(_) => (PROCESSUTILS, "ProcessExecutionError"),
        Error::CommandTimeout { .. } => (OURS, "ExecutionTimeout"),
    }
}

pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).unwrap_or_else(|problem| problem)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let (module, name) = class(error);
    let class = py.import(module)?.getattr(name)?;
    let exception = match error {
        Error::Command(failure) => {
            let fields = PyDict::new(py);
            fields.set_item("cmd", &failure.argv)?;
            fields.set_item("exit_code", failure.code)?;
            fields.set_item("stdout", &failure.stdout)?;
            fields.set_item("stderr", &failure.stderr)?;
            class.call((), Some(&fields))?
        }
        Error::CommandTimeout { argv, .. } => {
            let fields = PyDict::new(py);
            fields.set_item("cmd", argv)?;
            fields.set_item("stdout", "")?;
            fields.set_item("stderr", error.to_string())?;
            class.call((), Some(&fields))?
        }
        other => class.call1((other.to_string(),))?,
    };
    Ok(PyErr::from_value(exception))
}

/// A panic, or a value the boundary itself could not make sense of.
pub fn internal(py: Python<'_>, message: &str) -> PyErr {
    to_python(py, &Error::Internal { message: message.to_owned() })
}
