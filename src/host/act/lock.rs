//! Locks that hold across threads, processes and users: open file description locks on byte ranges (`fcntl(2)`).
//!
//! An OFD lock and the POSIX lock of oslo.concurrency (fasteners) on the same file exclude each other.

#![expect(clippy::disallowed_methods, reason = "lock files are opened here")]

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::error::{Error, Result};
use crate::host::wait;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Shared,
    Exclusive,
}

/// What is locked: a whole file, or the byte a name stands for in a file of many names.
#[derive(Debug, Clone)]
pub struct Place {
    file: PathBuf,
    /// None: the whole file.
    byte: Option<i64>,
}

impl Place {
    pub fn whole(file: PathBuf) -> Place {
        Place { file, byte: None }
    }

    /// One byte in 2^62: two names that share one only wait for each other.
    pub fn named(file: PathBuf, name: &str) -> Place {
        Place { file, byte: Some((fnv1a(name.as_bytes()) >> 2).cast_signed()) }
    }

    /// For taking several in one order everywhere.
    pub fn order(&self) -> (PathBuf, i64) {
        (self.file.clone(), self.byte.unwrap_or(-1))
    }
}

/// FNV-1a, 64 bits.  A fixed hash, not the standard library's: other processes, built with another version of it, must
/// find the same byte.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Held {
    file: File,
    byte: Option<i64>,
}

impl Held {
    /// Lets others share what was exclusive; never waits.
    pub fn share(&self) -> Result<()> {
        set(&self.file, self.byte, Mode::Shared).map(|_| ()).map_err(|errno| failed(Path::new("lock"), errno))
    }
}

/// Takes the lock, waiting until the deadline.
pub fn acquire(place: &Place, mode: Mode, deadline: Instant) -> Result<Held> {
    let file = open(&place.file, mode)?;
    let started = Instant::now();
    let got = wait::until(deadline, || {
        set(&file, place.byte, mode).map(|got| got.then_some(())).map_err(|errno| failed(&place.file, errno))
    })?;
    match got {
        Some(()) => Ok(Held { file, byte: place.byte }),
        None => {
            Err(Error::Timeout { what: format!("getting the lock {}", place.file.display()), after: started.elapsed() })
        }
    }
}

/// Takes a whole open file, waiting until the deadline; it is let go when the file is closed.
pub fn hold(file: &File, path: &Path, deadline: Instant) -> Result<()> {
    let started = Instant::now();
    let got = wait::until(deadline, || {
        set(file, None, Mode::Exclusive).map(|got| got.then_some(())).map_err(|errno| failed(path, errno))
    })?;
    got.ok_or_else(|| Error::Timeout { what: format!("getting the lock {}", path.display()), after: started.elapsed() })
}

/// Takes the lock if nobody is in the way.
pub fn try_acquire(place: &Place, mode: Mode) -> Result<Option<Held>> {
    let file = open(&place.file, mode)?;
    let got = set(&file, place.byte, mode).map_err(|errno| failed(&place.file, errno))?;
    Ok(got.then_some(Held { file, byte: place.byte }))
}

fn failed(file: &Path, errno: Errno) -> Error {
    Error::Io { verb: "lock", path: file.to_path_buf(), reason: errno.desc().to_owned() }
}

fn set(file: &File, byte: Option<i64>, mode: Mode) -> std::result::Result<bool, Errno> {
    let kind = match mode {
        Mode::Shared => libc::F_RDLCK,
        Mode::Exclusive => libc::F_WRLCK,
    };
    let range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte.unwrap_or(0),
        l_len: i64::from(byte.is_some()),
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens the lock file: made by the service beforehand, else here.  Never through a link, and never anything but a
/// regular file, because the name of its directory comes from an unprivileged process.
fn open(path: &Path, mode: Mode) -> Result<File> {
    let options = |write: bool| {
        let mut options = OpenOptions::new();
        options.read(true).write(write).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
        options
    };
    let write = mode == Mode::Exclusive;
    let opened = options(write).open(path).or_else(|error| match error.kind() {
        ErrorKind::NotFound => create(path, options(true)).and_then(|()| options(write).open(path)),
        _ => Err(error),
    });
    let file = opened.map_err(|error| Error::io("open the lock file", path, &error))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(Error::Io { verb: "lock", path: path.to_path_buf(), reason: "not a regular file".to_owned() });
    }
    Ok(file)
}

/// Makes the file for every user: two services with different users share the directory.
fn create(path: &Path, mut options: OpenOptions) -> std::io::Result<()> {
    match options.create_new(true).mode(0o666).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(0o666)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
