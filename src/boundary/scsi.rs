//! `os_brick._engine.scsi`

use std::path::Path;

use pyo3::prelude::*;

use super::gate;
use crate::devices::identify;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::device_mapper;
use crate::identifiers::DeviceName;

/// What is no kernel name is no device.
fn names(devices: &[String]) -> Vec<DeviceName> {
    devices.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Read-only views of SCSI devices.
#[pymodule]
pub mod scsi {
    use super::*;

    /// The kernel name of the multipath map over any of the disks; `root` is where the machine's files are.
    #[pyfunction]
    #[pyo3(signature = (devices, root="/"))]
    fn multipath_map(py: Python<'_>, devices: Vec<String>, root: &str) -> PyResult<Option<String>> {
        gate::pass(py, || {
            let root = Root::at(root);
            let map = names(&devices).into_iter().find_map(|disk| device_mapper::multipath_over(&root, &disk));
            Ok(map.map(|map| map.to_string()))
        })
    }

    /// The identity of an attached volume as udev and multipath know it; empty when they do not.
    #[pyfunction]
    #[pyo3(signature = (devices, map=None, root="/"))]
    fn identity(py: Python<'_>, devices: Vec<String>, map: Option<&str>, root: &str) -> PyResult<String> {
        gate::pass(py, || {
            let map = map.and_then(|name| name.parse().ok());
            let found = identify::published_identity(&Root::at(root), &names(&devices), map.as_ref());
            Ok(found.map_or_else(String::new, |wwid| wwid.to_string()))
        })
    }

    /// The paths of everything in a directory that is not hidden, in no order; none when it is not there.
    #[pyfunction]
    fn entries(py: Python<'_>, directory: String) -> PyResult<Vec<String>> {
        gate::pass(py, || {
            let names = attribute::unsorted_names(Path::new(&directory)).filter(|name| !name.starts_with('.'));
            let directory = directory.trim_end_matches('/');
            Ok(names.map(|name| [directory, "/", &name].concat()).collect())
        })
    }
}
