//! The caller's own `execute=` as the runner: every command and every kernel write goes through it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use log::debug;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::{CommandFailure, Error, Result};
use crate::host::Host;
use crate::host::act::nvme::Connection;
use crate::host::act::runner::{Arg, Command, Direct, MULTIPATHD_TIMEOUT, Output, Runner};
use crate::host::root::Root;
use crate::log::HOST;

/// The machine, and the caller's executor if it brought one.
pub fn machine(execute: Option<Py<PyAny>>) -> (Host, Option<Arc<Caller>>) {
    match execute {
        None => (Host::new(Root::real(), Arc::new(Direct)), None),
        Some(execute) => {
            let caller = Arc::new(Caller::new(execute));
            (Host::new(Root::real(), Arc::clone(&caller) as _), Some(caller))
        }
    }
}

/// The outcome of an operation with the caller's own exception instead of ours, but not of Ctrl-C.
pub fn outcome<T>(py: Python<'_>, ours: PyResult<T>, caller: Option<Arc<Caller>>) -> PyResult<T> {
    match (ours, caller.and_then(|caller| caller.raised())) {
        (Err(error), Some(raised)) if error.is_instance_of::<PyException>(py) => Err(raised),
        (ours, _) => ours,
    }
}

/// A callable with the contract of `os_brick.privileged.rootwrap.execute`.
pub struct Caller {
    execute: Py<PyAny>,
    /// The first exception that was no failed command: raised again as it was.
    raised: Mutex<Option<PyErr>>,
}

impl Caller {
    pub fn new(execute: Py<PyAny>) -> Caller {
        Caller { execute, raised: Mutex::new(None) }
    }

    /// The caller's own exception, if one ended the operation.
    fn raised(&self) -> Option<PyErr> {
        self.raised.lock().ok()?.take()
    }

    fn call(&self, command: &Command, input: Option<&str>) -> Result<Output> {
        Python::attach(|py| self.call_attached(py, command, input).map_err(|error| self.translate(py, command, error)))
    }

    fn call_attached(&self, py: Python<'_>, command: &Command, input: Option<&str>) -> PyResult<Output> {
        let words = std::iter::once(command.program).chain(command.args.iter().map(|arg| match arg {
            Arg::Plain(text) => text.as_str(),
            Arg::Secret(secret) => secret.reveal(),
        }));
        let args = PyTuple::new(py, words.collect::<Vec<_>>())?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("run_as_root", true)?;
        kwargs.set_item("check_exit_code", &command.accept)?;
        // Whole seconds, as upstream's own calls have them; the connector leaves it out for a callable that takes none.
        kwargs.set_item("timeout", command.timeout.as_secs().max(1))?;
        if let Some(input) = input {
            kwargs.set_item("process_input", input)?;
        }
        let answer = self.execute.bind(py).call(args, Some(&kwargs))?;
        let (stdout, stderr) = if answer.is_none() { (String::new(), String::new()) } else { texts(&answer)? };
        // The contract tells the outputs only; that nothing was raised means a code that is fine.
        Ok(Output { code: command.accept.first().copied(), stdout, stderr })
    }

    fn translate(&self, py: Python<'_>, command: &Command, error: PyErr) -> Error {
        let value = error.value(py);
        if is_timeout(py, &error) {
            return Error::CommandTimeout { argv: command.to_string(), after: command.timeout };
        }
        let text = |name: &str| {
            let text = value.getattr(name).ok().and_then(|field| as_text(&field)).unwrap_or_default();
            command.masked(&text)
        };
        if let Ok(code) = value.getattr("exit_code") {
            return Error::Command(Box::new(CommandFailure {
                argv: command.to_string(),
                code: code.extract().ok(),
                stdout: text("stdout"),
                stderr: text("stderr"),
            }));
        }
        // Some callables tell the whole command line.
        let message = format!("{command}: {}", command.masked(&error.to_string()));
        if let Ok(mut raised) = self.raised.lock() {
            raised.get_or_insert(error);
        }
        Error::Caller { message }
    }
}

/// What a callable raises that stopped the command: os-brick's own, and oslo.concurrency's.
fn is_timeout(py: Python<'_>, error: &PyErr) -> bool {
    [("os_brick.exception", "ExecutionTimeout"), ("subprocess", "TimeoutExpired")].iter().any(|(module, name)| {
        py.import(*module)
            .and_then(|found| found.getattr(*name))
            .is_ok_and(|kind| error.matches(py, kind).unwrap_or(false))
    })
}

fn texts(answer: &Bound<'_, PyAny>) -> PyResult<(String, String)> {
    let part = |index: usize| answer.get_item(index).map(|part| as_text(&part).unwrap_or_default());
    Ok((part(0)?, part(1)?))
}

fn as_text(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(text) = value.extract::<String>() {
        return Some(text);
    }
    value.extract::<Vec<u8>>().ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Everything has to be a command here; the engine asks for nothing else when the runner is not direct.
fn not_a_command(what: &str) -> Error {
    Error::Caller { message: format!("{what} cannot go through the caller's execute") }
}

impl Runner for Caller {
    fn run(&self, command: &Command) -> Result<Output> {
        debug!(target: HOST, "{command} through the caller's execute");
        self.call(command, None)
    }

    fn write(&self, path: &Path, content: &str) -> Result<()> {
        let command = Command::new("tee", ["-a".to_owned(), path.display().to_string()]);
        self.call(&command, Some(content)).map(drop)
    }

    fn multipathd(&self, request: &[&str]) -> Result<String> {
        let command = Command::new("multipathd", request.iter().copied()).within(MULTIPATHD_TIMEOUT);
        self.call(&command, None).map(|output| output.stdout)
    }

    fn nvme_connect(&self, _options: &str) -> Result<Connection> {
        Err(not_a_command("an NVMe connection"))
    }

    fn nvme_identify(&self, _controller: &Path, _nsid: u32, _cns: u8) -> Result<Option<Vec<u8>>> {
        Err(not_a_command("an Identify command"))
    }

    fn is_direct(&self) -> bool {
        false
    }
}
