//! `os_brick._engine.inventory`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use super::{attached, convert, gate};
use crate::clean::{self as cleaning, Choices};
use crate::host::Host;
use crate::host::act::runner::Direct;
use crate::host::programs::dmsetup;
use crate::host::root::Root;
use crate::inventory::records::{self, Kept};
use crate::inventory::{Answers, Inventory, find_orphans, live, orphans};
use crate::log::HOST;
use crate::transports::attachment;

/// The attachment records of a directory, with who works on their volumes right now.
fn kept(host: &Host, directory: &Path) -> Vec<Kept> {
    records::read(&host.root, directory, &|record| attachment::is_under_way(&host.root, record))
}

/// What is attached, and what of it is nobody's.
#[pymodule]
pub mod inventory {
    use super::*;

    /// The volumes, sessions and controllers of the host; `root` is where the machine's files are.
    #[pyfunction]
    #[pyo3(signature = (root="/", open_counts=false, records=None))]
    fn read<'py>(
        py: Python<'py>,
        root: &str,
        open_counts: bool,
        records: Option<PathBuf>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let found = gate::pass(py, || {
            let host = Host::new(Root::at(root), Arc::new(Direct));
            let mut found = Inventory::read(&host.root);
            if open_counts {
                match dmsetup::open_counts(&host) {
                    Ok(counts) => found.add_open_counts(&counts),
                    // A host without device-mapper has no counts, and everything else is known.
                    Err(error) => log::debug!(target: HOST, "no open counts: {}", error.describe()),
                }
            }
            if let Some(directory) = &records {
                found.add_records(&kept(&host, directory));
            }
            Ok(found)
        })?;
        attached::dictionary(py, &found)
    }

    /// What is left behind; with `live` every disk that is up is asked for its identity.
    #[pyfunction]
    #[pyo3(signature = (root="/", live=false, records=None))]
    fn orphans<'py>(py: Python<'py>, root: &str, live: bool, records: Option<PathBuf>) -> PyResult<Bound<'py, PyAny>> {
        let (findings, silent) = gate::pass(py, || {
            let host = Host::new(Root::at(root), Arc::new(Direct));
            let found = Inventory::read(&host.root);
            let answers = if live { super::live::ask(&host, &found) } else { Answers::default() };
            let mut findings = find_orphans(&host.root, &found, &answers);
            if let Some(directory) = &records {
                super::orphans::add_records(&mut findings, directory, &kept(&host, directory), &found);
            }
            Ok((findings, answers.silent))
        })?;
        convert::python(py, &json!({"findings": findings, "silent": silent, "live": live}))
    }

    /// What is left behind and proven unused goes, or would go; `lock_path` is the services' lock directory.
    #[pyfunction]
    #[pyo3(signature = (lock_path, apply=false, root="/", records=None))]
    fn clean<'py>(
        py: Python<'py>,
        lock_path: PathBuf,
        apply: bool,
        root: &str,
        records: Option<PathBuf>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let outcomes = gate::pass(py, || {
            let host = Host::new(Root::at(root), Arc::new(Direct));
            Ok(cleaning::clean(&host, &Choices::new(apply, &lock_path, records.as_deref())))
        })?;
        convert::python(py, &json!({"outcomes": outcomes, "applied": apply}))
    }
}
