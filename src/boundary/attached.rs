//! The inventory as dictionaries.  A host has thousands of volumes: what was made for one is taken again for the next.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::convert;
use crate::identifiers::Wwid;
use crate::inventory::{Connection, Inventory, Path, Volume};

/// As `convert::python` would make it, of fewer objects.
pub fn dictionary<'py>(py: Python<'py>, inventory: &Inventory) -> PyResult<Bound<'py, PyDict>> {
    let Inventory { volumes, sessions, controllers } = inventory;
    let mut made = Made { py, texts: HashMap::new(), connections: HashMap::new() };
    let volumes = volumes.iter().map(|volume| made.volume(volume)).collect::<PyResult<Vec<_>>>()?;
    let all = PyDict::new(py);
    all.set_item(intern!(py, "volumes"), PyList::new(py, volumes)?)?;
    all.set_item(intern!(py, "sessions"), convert::python(py, sessions)?)?;
    all.set_item(intern!(py, "controllers"), convert::python(py, controllers)?)?;
    Ok(all)
}

/// What may come again.
struct Made<'py, 'a> {
    py: Python<'py>,
    texts: HashMap<&'a str, Bound<'py, PyString>>,
    connections: HashMap<*const Connection, Bound<'py, PyAny>>,
}

impl<'py, 'a> Made<'py, 'a> {
    // Without `..`, so that no field is forgotten here.
    fn volume(&mut self, volume: &'a Volume) -> PyResult<Bound<'py, PyDict>> {
        let Volume { device, kind, name, identity, size, paths, mounts, consumers, links, open_count, record } = volume;
        let py = self.py;
        let paths = paths.iter().map(|path| self.path(path)).collect::<PyResult<Vec<_>>>()?;
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "device"), device.as_str())?;
        dict.set_item(intern!(py, "kind"), convert::python(py, kind)?)?;
        dict.set_item(intern!(py, "name"), self.text(name.as_deref()))?;
        dict.set_item(intern!(py, "identity"), self.text(identity.as_ref().map(Wwid::as_str)))?;
        dict.set_item(intern!(py, "size"), size)?;
        dict.set_item(intern!(py, "paths"), PyList::new(py, paths)?)?;
        dict.set_item(intern!(py, "mounts"), convert::python(py, mounts)?)?;
        dict.set_item(intern!(py, "consumers"), convert::python(py, consumers)?)?;
        dict.set_item(intern!(py, "links"), convert::python(py, links)?)?;
        dict.set_item(intern!(py, "open_count"), open_count)?;
        dict.set_item(intern!(py, "record"), convert::python(py, record)?)?;
        Ok(dict)
    }

    fn path(&mut self, path: &'a Path) -> PyResult<Bound<'py, PyDict>> {
        let Path { device, address, state, identity, size, connection, usable } = path;
        let py = self.py;
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "device"), device.as_str())?;
        dict.set_item(intern!(py, "address"), address)?;
        dict.set_item(intern!(py, "state"), self.text(state.as_deref()))?;
        dict.set_item(intern!(py, "identity"), self.text(identity.as_ref().map(Wwid::as_str)))?;
        dict.set_item(intern!(py, "size"), size)?;
        dict.set_item(intern!(py, "connection"), self.connection(connection)?)?;
        dict.set_item(intern!(py, "usable"), usable)?;
        Ok(dict)
    }

    /// A dictionary of its own for each path: who has the answer may change it.
    fn connection(&mut self, connection: &'a Arc<Connection>) -> PyResult<Bound<'py, PyDict>> {
        let known = Arc::as_ptr(connection);
        if !self.connections.contains_key(&known) {
            self.connections.insert(known, convert::python(self.py, connection.as_ref())?);
        }
        self.connections[&known].cast::<PyDict>()?.copy()
    }

    fn text(&mut self, text: Option<&'a str>) -> Option<Bound<'py, PyString>> {
        text.map(|text| self.texts.entry(text).or_insert_with(|| PyString::new(self.py, text)).clone())
    }
}
