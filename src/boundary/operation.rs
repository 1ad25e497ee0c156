//! One operation of a transport for Python: plain data in, the work behind the gate, the caller's own exception first.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use super::execute::{self, machine};
use super::{convert, gate};
use crate::error::Result;
use crate::host::Host;
use crate::transports::settings::Settings;

/// Reads the request with `read`, runs the work behind the gate, and prefers the caller's own exception to ours.
pub fn perform<T, Request, F>(
    properties: &Bound<'_, PyDict>,
    settings: &Bound<'_, PyDict>,
    execute: Option<Py<PyAny>>,
    read: fn(&Map<String, Value>) -> Result<Request>,
    work: F,
) -> PyResult<T>
where
    T: Send,
    F: FnOnce(&Host, &Request, &Settings) -> Result<T> + Send,
{
    let py = properties.py();
    let properties = convert::values("connection_properties", properties)?;
    let settings = convert::values("settings", settings)?;
    let (host, caller) = machine(execute);
    let outcome = gate::pass(py, || {
        let request = read(&properties)?;
        let settings = Settings::read(&settings)?;
        work(&host, &request, &settings)
    });
    execute::outcome(py, outcome, caller)
}
