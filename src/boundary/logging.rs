//! The engine's records on their way to Python's logging.
//!
//! Logging is Python, and on the main thread Python runs the handlers of signals there: Ctrl-C, or what a service does on SIGTERM,
//! is then raised in the middle of an operation.  The operation comes to its end, and the exception is raised after it.

use std::cell::{Cell, RefCell};

use log::{Log, Metadata, Record};
use pyo3::prelude::*;

thread_local! {
    /// Whether a call from Python is under way on this thread.
    static IS_CALLED: Cell<bool> = const { Cell::new(false) };
    /// What was raised meanwhile, the first if there is more.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Gives records to Python's loggers of the same names.
struct Bridge(pyo3_log::Logger);

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            Python::attach(|py| {
                self.0.log(record);
                // It leaves the exception set, which the next piece of Python would take for its own or lose.
                if let Some(error) = PyErr::take(py) {
                    keep(py, error);
                }
            });
        }
    }

    fn flush(&self) {}
}

fn keep(py: Python<'_>, error: PyErr) {
    if !IS_CALLED.get() {
        return error.write_unraisable(py, None);
    }
    RAISED.with_borrow_mut(|raised| {
        if raised.is_none() {
            *raised = Some(error);
        }
    });
}

/// From here on the engine says something.  A second interpreter in the process keeps the first one's logger.
pub fn begin(py: Python<'_>) -> PyResult<()> {
    let bridge = Bridge(pyo3_log::Logger::new(py, pyo3_log::Caching::Loggers)?);
    if log::set_boxed_logger(Box::new(bridge)).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    Ok(())
}

/// Runs `work`; with it comes what records of this thread raised meanwhile.
pub fn attended<T>(work: impl FnOnce() -> T) -> (T, Option<PyErr>) {
    let outer = IS_CALLED.replace(true);
    let done = work();
    IS_CALLED.set(outer);
    (done, RAISED.take())
}
