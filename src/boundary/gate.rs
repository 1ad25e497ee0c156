//! Every call in passes here: the GIL is released, panics are contained, errors become exceptions.

use pyo3::prelude::*;

use super::exceptions;
use crate::error::Result;
use crate::fan_out;
use crate::log::HOST;

/// Runs a piece of the engine for Python.
pub fn pass<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send,
    F: FnOnce() -> Result<T> + Send,
{
    // A panic that reached oslo.privsep's worker would leave its caller waiting for ever.
    py.detach(|| fan_out::contained(work)).map_err(|error| exceptions::to_python(py, &error))
}

/// Where a panic happened goes to the log, not to the service's stderr.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| log::error!(target: HOST, "internal error, please report it: {info}")));
}
