//! `os_brick._engine.scsi`

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use serde_json::{Value, json};

use super::{convert, gate};
use crate::devices::identify;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::device_mapper::{self, Map};
use crate::host::view::{block, scsi as scsi_device};
use crate::identifiers::DeviceName;

/// What is no kernel name is no device.
fn names(devices: &[String]) -> Vec<DeviceName> {
    devices.iter().filter_map(|name| name.parse().ok()).collect()
}

/// A multipath map with its paths, as upstream reads them from `multipath -l`: numbers are texts.
fn described(root: &Root, map: &Map) -> Value {
    let slaves = block::slaves(root, &map.device);
    let paths = slaves.iter().filter_map(|disk| scsi_device::hctl(root, disk).map(|hctl| (disk, hctl)));
    let paths: Vec<Value> = paths
        .map(|(disk, hctl)| {
            json!({
                "device": disk.dev_path(), "host": hctl.host.to_string(), "channel": hctl.channel.to_string(),
                "id": hctl.target.to_string(), "lun": hctl.lun.to_string(),
            })
        })
        .collect();
    json!({"device": format!("/dev/mapper/{}", map.name), "id": map.wwid.as_str(), "name": map.name, "devices": paths})
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

    /// The multipath map a device or a link to one is, or is a path of: `device`, `id`, `name`, and `devices`, each with `device`,
    /// `host`, `channel`, `id` and `lun`.  None when there is no such map, or no `/dev/mapper/NAME` of it.
    #[pyfunction]
    #[pyo3(signature = (device, root="/"))]
    fn multipath_device<'py>(py: Python<'py>, device: PathBuf, root: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = gate::pass(py, || {
            let root = Root::at(root);
            let Some(device) = block::behind(&root, &device) else { return Ok(None) };
            let map = device_mapper::map(&root, &device).or_else(|| device_mapper::map_over(&root, &device));
            let map = map.filter(|map| attribute::exists(&root.path(format!("/dev/mapper/{}", map.name))));
            Ok(map.map(|map| described(&root, &map)))
        })?;
        found.map(|map| convert::python(py, &map)).transpose()
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
