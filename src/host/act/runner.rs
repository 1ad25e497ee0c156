//! The seam through which the machine is changed, and the only place that starts a program.

#![expect(clippy::disallowed_methods, reason = "the one home of spawning and of sysfs writes")]

use std::fmt;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use log::debug;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{CommandFailure, Error, Result};
use crate::host::act::multipathd_socket;
use crate::host::act::nvme::{self, Connection};
use crate::identifiers::Secret;
use crate::log::HOST;

/// How long a program has that nobody gave another time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a program has to end after SIGTERM before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// multipathd answers within milliseconds; while it reconfigures it may take seconds.
pub const MULTIPATHD_TIMEOUT: Duration = Duration::from_secs(10);
/// Asked over its socket, a daemon on a starved machine has twice that: nobody asks in its place.
const MULTIPATHD_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub enum Arg {
    Plain(String),
    Secret(Secret),
}

/// A program to run: its arguments, what it reads, the exit codes that are fine, and its deadline.
#[derive(Clone)]
pub struct Command {
    pub program: &'static str,
    pub args: Vec<Arg>,
    pub accept: Vec<i32>,
    pub timeout: Duration,
}

impl Command {
    pub fn new<I, S>(program: &'static str, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let args = args.into_iter().map(|arg| Arg::Plain(arg.into())).collect();
        Command { program, args, accept: vec![0], timeout: DEFAULT_TIMEOUT }
    }

    #[must_use]
    pub fn accept(mut self, codes: &[i32]) -> Command {
        self.accept = codes.to_vec();
        self
    }

    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Command {
        self.timeout = timeout;
        self
    }

    #[must_use]
    pub fn secret(mut self, secret: &Secret) -> Command {
        self.args.push(Arg::Secret(secret.clone()));
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Command {
        self.args.push(Arg::Plain(arg.into()));
        self
    }

    /// A text about the command without the command's secrets.
    pub fn masked(&self, text: &str) -> String {
        self.args.iter().fold(text.to_owned(), |text, arg| match arg {
            Arg::Secret(secret) if !secret.reveal().is_empty() => text.replace(secret.reveal(), "***"),
            _ => text,
        })
    }

    pub fn failure(&self, output: &Output) -> Error {
        Error::Command(Box::new(CommandFailure {
            argv: self.to_string(),
            code: output.code,
            stdout: self.masked(&output.stdout),
            stderr: self.masked(&output.stderr),
        }))
    }

    fn check(&self, output: Output) -> Result<Output> {
        match output.code {
            Some(code) if self.accept.contains(&code) => Ok(output),
            _ => Err(self.failure(&output)),
        }
    }
}

/// The command line with its secrets masked.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        for arg in &self.args {
            match arg {
                Arg::Plain(text) => write!(f, " {text}")?,
                Arg::Secret(_) => f.write_str(" ***")?,
            }
        }
        Ok(())
    }
}

/// What a program gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Who runs programs and writes to the kernel: the engine itself, or the caller's own `execute=`.
pub trait Runner: Send + Sync {
    /// Runs a program to its end.  An exit code that is not accepted is an error.
    fn run(&self, command: &Command) -> Result<Output>;

    /// Writes to a kernel attribute; `path` is the machine's own name for it.
    fn write(&self, path: &Path, content: &str) -> Result<()>;

    /// Asks multipathd; the words of `multipathd(8)`, its answer.
    fn multipathd(&self, request: &[&str]) -> Result<String>;

    /// Asks the kernel itself for an NVMe controller; only when `is_direct`.
    fn nvme_connect(&self, options: &str) -> Result<Connection>;

    /// Sends an Identify command to `/dev/nvmeN`; only when `is_direct`.
    fn nvme_identify(&self, controller: &Path, nsid: u32, cns: u8) -> Result<Option<Vec<u8>>>;

    /// Whether files may be changed without a program.  Not so when the caller runs everything itself.
    fn is_direct(&self) -> bool;
}

/// The engine's own runner.
#[derive(Default)]
pub struct Direct;

impl Runner for Direct {
    fn run(&self, command: &Command) -> Result<Output> {
        let start = std::time::Instant::now();
        let child = spawn(command)?;
        let output = wait(command, child)?;
        debug!(
            target: HOST,
            "{command}: exit {:?} after {:.3} s, stdout={:?} stderr={:?}",
            output.code, start.elapsed().as_secs_f64(), output.stdout, output.stderr
        );
        command.check(output)
    }

    fn write(&self, path: &Path, content: &str) -> Result<()> {
        debug!(target: HOST, "writing {content:?} to {}", path.display());
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(|error| Error::io("write", path, &error))
    }

    fn multipathd(&self, request: &[&str]) -> Result<String> {
        // As `multipathd` joins its arguments: a word with blanks goes in quotes.
        let quoted = |word: &&str| {
            if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() }
        };
        let line = request.iter().map(quoted).collect::<Vec<_>>().join(" ");
        match multipathd_socket::ask(&line, MULTIPATHD_PATIENCE) {
            Ok(answer) => {
                debug!(target: HOST, "multipathd {line}: {} bytes: {:.200}", answer.len(), answer.trim_end());
                Ok(answer)
            }
            // The program would ask the same daemon.
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(Error::CommandTimeout { argv: format!("multipathd {line}"), after: MULTIPATHD_PATIENCE })
            }
            // No such socket: multipathd may still be had through a wrapper in PATH, as in some container set-ups.
            Err(_) => {
                Ok(self.run(&Command::new("multipathd", request.iter().copied()).within(MULTIPATHD_TIMEOUT))?.stdout)
            }
        }
    }

    fn nvme_connect(&self, options: &str) -> Result<Connection> {
        nvme::connect(options)
    }

    fn nvme_identify(&self, controller: &Path, nsid: u32, cns: u8) -> Result<Option<Vec<u8>>> {
        nvme::identify(controller, nsid, cns)
    }

    fn is_direct(&self) -> bool {
        true
    }
}

fn spawn(command: &Command) -> Result<Child> {
    let args = command.args.iter().map(|arg| match arg {
        Arg::Plain(text) => text.as_str(),
        Arg::Secret(secret) => secret.reveal(),
    });
    std::process::Command::new(command.program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::Command(Box::new(CommandFailure {
                argv: command.to_string(),
                code: None,
                stdout: String::new(),
                stderr: format!("cannot start: {error}"),
            }))
        })
}

fn wait(command: &Command, child: Child) -> Result<Output> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the program: at the latest when SIGKILL has taken effect.
    crate::fan_out::detach("wait", move || drop(sender.send(child.wait_with_output())))
        .map_err(|error| Error::io("start a thread for", Path::new(command.program), &error))?;
    let gone = || Error::CommandTimeout { argv: command.to_string(), after: command.timeout };
    let done = receiver.recv_timeout(command.timeout).map_err(|_| {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            // It may have ended by itself in this very moment.
            let _ = kill(pid, signal);
            if receiver.recv_timeout(GRACE).is_ok() {
                break;
            }
        }
        gone()
    })?;
    let done = done.map_err(|error| Error::io("wait for", Path::new(command.program), &error))?;
    Ok(Output {
        code: done.status.code().or_else(|| done.status.signal().map(|signal| -signal)),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}
