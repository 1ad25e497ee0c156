//! Every call in passes here: the GIL is released, panics are contained, errors become exceptions, and what a signal raised
//! meanwhile is raised at the end.

use pyo3::prelude::*;

use super::{exceptions, logging};
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
    let (done, raised) = py.detach(|| logging::attended(|| fan_out::contained(work)));
    let done = done.map_err(|error| exceptions::to_python(py, &error));
    let Some(raised) = raised else { return done };
    if let Err(error) = done {
        // As Python does for what is raised while something fails.
        raised.value(py).setattr("__context__", error)?;
    }
    Err(raised)
}

/// Where a panic happened goes to the log, not to the service's stderr.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| log::error!(target: HOST, "internal error, please report it: {info}")));
}
