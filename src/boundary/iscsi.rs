//! `os_brick._engine.iscsi`

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use super::{convert, gate, operation};
use crate::error::Result;
use crate::host::Host;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::iscsi_session;
use crate::transports::iscsi::{self as transport, Request};
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

/// iSCSI and iSER.
#[pymodule]
pub mod iscsi {
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
        let mut result = json!({"type": "block", "scsi_wwn": attachment.scsi_wwn, "path": attachment.path});
        if let (Some(id), Some(fields)) = (attachment.multipath_id, result.as_object_mut()) {
            fields.insert("multipath_id".to_owned(), json!(id));
        }
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

    #[pyfunction]
    fn sessions(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let root = Root::real();
        let sessions = gate::pass(py, || Ok(iscsi_session::all(&root)))?;
        let rows: Vec<_> = sessions
            .iter()
            .map(|session| {
                json!({
                    "sid": session.sid,
                    "iqn": session.target_name,
                    "portal": session.portal.as_ref().map(ToString::to_string),
                    "tpgt": session.tpgt,
                    "host": session.host,
                    "transport": session.transport(&root),
                    "state": session.state(&root),
                })
            })
            .collect();
        convert::python(py, &rows)
    }

    #[pyfunction]
    fn initiator_name(py: Python<'_>) -> PyResult<Option<String>> {
        gate::pass(py, || {
            let text = attribute::read(Path::new("/etc/iscsi/initiatorname.iscsi"))?.unwrap_or_default();
            Ok(text
                .lines()
                .find_map(|line| line.trim().strip_prefix("InitiatorName="))
                .map(|name| name.trim().to_owned()))
        })
    }
}
