//! Every call in passes here: the GIL is released, panics are contained, errors become exceptions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use super::exceptions;
use crate::error::Result;
use crate::log::HOST;

/// Runs a piece of the engine for Python.
pub fn pass<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send,
    F: FnOnce() -> Result<T> + Send,
{
    // A panic that reached oslo.privsep's worker would leave its caller waiting for ever.
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(exceptions::to_python(py, &error)),
        Err(panic) => Err(exceptions::internal(py, message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Where a panic happened goes to the log, not to the service's stderr.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| log::error!(target: HOST, "internal error, please report it: {info}")));
}
