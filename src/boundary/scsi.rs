//! `os_brick._engine.scsi`

use std::path::Path;

use pyo3::prelude::*;

use super::gate;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::device_mapper;
use crate::identifiers::DeviceName;

/// Read-only views of SCSI devices.
#[pymodule]
pub mod scsi {
    use super::*;

    /// The kernel name of the multipath map over any of the disks.
    #[pyfunction]
    fn multipath_map(py: Python<'_>, devices: Vec<String>) -> PyResult<Option<String>> {
        gate::pass(py, || {
            let root = Root::real();
            let names = devices.iter().filter_map(|name| name.parse::<DeviceName>().ok());
            Ok(names.filter_map(|name| device_mapper::map_over(&root, &name)).map(|map| map.device.to_string()).next())
        })
    }

    /// The paths of everything in a directory that is not hidden, sorted; none when it is not there.
    #[pyfunction]
    fn entries(py: Python<'_>, directory: String) -> PyResult<Vec<String>> {
        gate::pass(py, || {
            let names = attribute::names(Path::new(&directory));
            Ok(names
                .iter()
                .filter(|name| !name.starts_with('.'))
                .map(|name| format!("{}/{name}", directory.trim_end_matches('/')))
                .collect())
        })
    }
}
