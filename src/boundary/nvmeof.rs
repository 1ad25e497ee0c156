//! `os_brick._engine.nvmeof`

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use super::{convert, operation};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::transports::nvmeof::{self as transport, Request};
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

/// NVMe over Fabrics.
#[pymodule]
pub mod nvmeof {
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
        convert::python(py, &json!({"type": "block", "path": attachment.path}))
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
        Ok(errors.iter().map(Error::describe).collect())
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
    #[pyo3(signature = (properties, settings, execute=None))]
    fn volume_paths(
        properties: &Bound<'_, PyDict>,
        settings: &Bound<'_, PyDict>,
        execute: Option<Py<PyAny>>,
    ) -> PyResult<Vec<String>> {
        let paths = perform(properties, settings, execute, transport::volume_paths)?;
        Ok(paths.iter().map(|path| path.display().to_string()).collect())
    }
}
