//! Plain Python data to values and back.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use super::exceptions;
use crate::error::{Error, Result};

/// A dictionary of plain data.
pub fn values(field: &str, dict: &Bound<'_, PyDict>) -> PyResult<Map<String, Value>> {
    // What cannot be converted is not shown: it may hold a secret.
    let invalid = |reason: String| {
        let error = Error::InvalidRequest { field: field.to_owned(), value: "a dictionary".to_owned(), reason };
        exceptions::to_python(dict.py(), &error)
    };
    match pythonize::depythonize(dict) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(invalid("not a dictionary".to_owned())),
        Err(error) => Err(invalid(format!("not plain data: {error}"))),
    }
}

/// Plain data for Python.
pub fn python<'py, T: serde::Serialize>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyAny>> {
    pythonize::pythonize(py, value).map_err(|error| exceptions::internal(py, &error.to_string()))
}

/// Plain data of which there is much, for `from_text`: written while the GIL is free.
pub fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal { message: error.to_string() })
}

/// What `text` wrote, for Python: its own reader makes each key once, and tens of thousands of objects in half of the time
/// that they take one by one.
pub fn from_text<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}
