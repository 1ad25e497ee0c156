//! `os_brick._engine.test_support`: what only the tests of the boundary need.  No privsep entrypoint leads here.

use std::path::Path;
use std::time::Duration;

use pyo3::prelude::*;

use super::execute::{self, machine};
use super::gate;
use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::identifiers::Secret;

/// What the engine asks a caller's own `execute=` for; the caller's exception comes first, as in an operation.
fn through<T: Send>(py: Python<'_>, execute: Py<PyAny>, work: impl FnOnce(&Host) -> Result<T> + Send) -> PyResult<T> {
    let (host, caller) = machine(Some(execute));
    let outcome = gate::pass(py, || work(&host));
    execute::outcome(py, outcome, caller)
}

/// For the engine's own tests.
#[pymodule]
pub mod test_support {
    use super::*;

    /// Panics behind the gate.
    #[pyfunction]
    fn panic(py: Python<'_>, message: String) -> PyResult<()> {
        gate::pass(py, || panic!("{message}"))
    }

    /// Runs `iscsiadm -v SECRET` through the callable; gives its outputs.
    #[pyfunction]
    fn run(py: Python<'_>, execute: Py<PyAny>, secret: String) -> PyResult<(String, String)> {
        through(py, execute, |host| {
            let command = Command::new("iscsiadm", ["-v"]).secret(&Secret::new(secret));
            let output = host.runner.run(&command.accept(&[0, 21]).within(Duration::from_secs(7)))?;
            Ok((output.stdout, output.stderr))
        })
    }

    /// Writes to a kernel attribute through the callable.
    #[pyfunction]
    fn write(py: Python<'_>, execute: Py<PyAny>, path: String, content: String) -> PyResult<()> {
        through(py, execute, |host| host.runner.write(Path::new(&path), &content))
    }
}
