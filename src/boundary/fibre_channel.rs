//! `os_brick._engine.fibre_channel`

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, json};

use super::{convert, operation};
use crate::error::Result;
use crate::host::Host;
use crate::transports::fibre_channel::{self as transport, Request};
use crate::transports::settings::Settings;

fn perform<T, F>(
    properties: &Bound<'_, PyDict>,
    settings: &Bound<'_, PyDict>,
    execute: Option<Py<PyAny>>,
    work: F,
) -> PyResult<T>
where
    T: Send,
    F: FnOnce(&Host, &Request, &Settings) -> Result<T> + Send,
{
    operation::perform(properties, settings, execute, Request::read, work)
}

/// Fibre Channel and FCoE.
#[pymodule]
pub mod fibre_channel {
    use super::*;

    #[pyfunction]
    #[pyo3(signature = (properties, settings, execute=None))]
    fn connect_volume<'py>(
        py: Python<'py>,
        properties: &Bound<'py, PyDict>,
        settings: &Bound<'py, PyDict>,
        execute: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let attachment = perform(properties, settings, execute, transport::connect)?;
        let mut result = Map::new();
        result.insert("type".to_owned(), json!("block"));
        result.insert("scsi_wwn".to_owned(), json!(attachment.scsi_wwn));
        if let Some(id) = attachment.multipath_id {
            result.insert("multipath_id".to_owned(), json!(id));
        }
        result.insert("path".to_owned(), json!(attachment.path));
        convert::python(py, &result)
    }

    #[pyfunction]
    #[pyo3(signature = (properties, device_path, settings, force, execute=None))]
    fn disconnect_volume(
        properties: &Bound<'_, PyDict>,
        device_path: Option<PathBuf>,
        settings: &Bound<'_, PyDict>,
        force: bool,
        execute: Option<Py<PyAny>>,
    ) -> PyResult<Vec<String>> {
        let errors = perform(properties, settings, execute, |host, request, settings| {
            transport::disconnect(host, request, settings, device_path.as_deref(), force)
        })?;
        Ok(errors.iter().map(crate::error::Error::describe).collect())
    }

    #[pyfunction]
    #[pyo3(signature = (properties, settings, execute=None))]
    fn extend_volume(
        properties: &Bound<'_, PyDict>,
        settings: &Bound<'_, PyDict>,
        execute: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        perform(properties, settings, execute, transport::extend)
    }

    #[pyfunction]
    fn volume_paths(properties: &Bound<'_, PyDict>, settings: &Bound<'_, PyDict>) -> PyResult<Vec<String>> {
        let paths = perform(properties, settings, None, transport::volume_paths)?;
        Ok(paths.iter().map(|path| path.display().to_string()).collect())
    }

    #[pyfunction]
    fn volume_devices(properties: &Bound<'_, PyDict>, settings: &Bound<'_, PyDict>) -> PyResult<Vec<String>> {
        perform(properties, settings, None, |host, request, settings| {
            Ok(transport::volume_devices(host, request, settings).iter().map(ToString::to_string).collect())
        })
    }

    /// The scans an attach would write: (number of the SCSI host, "channel target lun").
    #[pyfunction]
    fn scan_plan(properties: &Bound<'_, PyDict>, hosts: Vec<u32>) -> PyResult<Vec<(u32, String)>> {
        let settings = PyDict::new(properties.py());
        perform(properties, &settings, None, |host, request, _| Ok(transport::scan_plan(host, request, &hosts)))
    }
}
