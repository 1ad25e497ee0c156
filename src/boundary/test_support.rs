//! `os_brick._engine.test_support`: what only the tests of the boundary need.  No privsep entrypoint leads here.

use pyo3::prelude::*;

use super::gate;

/// For the engine's own tests.
#[pymodule]
pub mod test_support {
    use super::*;

    /// Panics behind the gate.
    #[pyfunction]
    fn panic(py: Python<'_>, message: String) -> PyResult<()> {
        gate::pass(py, || panic!("{message}"))
    }
}
