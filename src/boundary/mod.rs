//! The only module that names pyo3: the extension module `os_brick._engine`.

mod attached;
mod convert;
mod exceptions;
mod execute;
mod fibre_channel;
mod gate;
mod inventory;
mod iscsi;
mod logging;
mod nvmeof;
mod operation;
mod scsi;
mod test_support;

use pyo3::prelude::*;

/// The engine: one submodule per transport, plain data in and out.
#[pymodule(name = "_engine")]
mod engine {
    use super::*;

    #[pymodule_export]
    use super::fibre_channel::fibre_channel;
    #[pymodule_export]
    use super::inventory::inventory;
    #[pymodule_export]
    use super::iscsi::iscsi;
    #[pymodule_export]
    use super::nvmeof::nvmeof;
    #[pymodule_export]
    use super::scsi::scsi;
    #[pymodule_export]
    use super::test_support::test_support;

    /// Tells paths that join late to stop: the process is about to end.
    #[pyfunction]
    fn stop_background() {
        crate::transports::fibre_channel::stop_background();
        crate::transports::iscsi::stop_background();
        crate::transports::nvmeof::stop_background();
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        logging::begin(py)?;
        gate::log_panics();
        // So that `import os_brick._engine.iscsi` finds what `from os_brick._engine import iscsi` does.
        let modules = py.import("sys")?.getattr("modules")?;
        for name in ["fibre_channel", "inventory", "iscsi", "nvmeof", "scsi", "test_support"] {
            modules.set_item(format!("os_brick._engine.{name}"), module.getattr(name)?)?;
        }
        py.import("atexit")?.call_method1("register", (module.getattr("stop_background")?,))?;
        Ok(())
    }
}
