//! Plain Python data to values and back.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use super::exceptions;
use crate::error::Error;

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
