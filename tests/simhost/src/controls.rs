// SPDX-License-Identifier: Apache-2.0
//! Hearing what programs write to `scan`, `delete` and `rescan`.
//!
//! `scan` is a FIFO: what is written matters, and its effect comes later anyway; so is `rescan_controller`.  `delete`,
//! `rescan` and `delete_controller` are plain files whose opening fanotify holds up until their effect is there, for in the kernel they have taken effect when write(2)
//! returns.  Where fanotify is not allowed they are FIFOs too, and their effect comes a moment after the write.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response,
};

/// What a control file is for: the `scan` of a session or of a Fibre Channel host, a disk's `delete` or `rescan`, or an NVMe
/// controller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    Scan(u32),
    ScanPorts(u32),
    Delete(String),
    Rescan(String),
    DeleteController(u32),
    RescanController(u32),
}

pub struct Controls {
    fanotify: Option<Fanotify>,
    /// The open FIFOs.
    fifos: HashMap<PathBuf, File>,
    meanings: HashMap<PathBuf, Control>,
}

impl Controls {
    pub fn new() -> Controls {
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_NONBLOCK | InitFlags::FAN_CLOEXEC;
        let fanotify = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC).ok();
        Controls { fanotify, fifos: HashMap::new(), meanings: HashMap::new() }
    }

    /// Whether `delete` and `rescan` are to be plain files.
    pub fn holds_up_opening(&self) -> bool {
        self.fanotify.is_some()
    }

    pub fn add(&mut self, path: PathBuf, control: Control) -> io::Result<()> {
        match (&self.fanotify, &control) {
            (Some(fanotify), Control::Delete(_) | Control::Rescan(_) | Control::DeleteController(_)) => {
                let root = File::open("/")?;
                fanotify.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN_PERM, root.as_fd(), Some(&path))?;
            }
            _ => {
                // Read and write: the FIFO then never reports an end of file, and no writer ever waits for a reader.
                let flags = OFlag::O_NONBLOCK.bits();
                let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path)?;
                self.fifos.insert(path.clone(), file);
            }
        }
        self.meanings.insert(path, control);
        Ok(())
    }

    pub fn forget(&mut self, gone: impl Fn(&Control) -> bool) {
        self.meanings.retain(|_, control| !gone(control));
        let meanings = &self.meanings;
        self.fifos.retain(|path, _| meanings.contains_key(path));
    }

    pub fn meaning(&self, path: &Path) -> Option<Control> {
        self.meanings.get(path).cloned()
    }

    /// What to poll.
    pub fn fifos(&self) -> impl Iterator<Item = (&PathBuf, BorrowedFd<'_>)> {
        self.fifos.iter().map(|(path, file)| (path, file.as_fd()))
    }

    pub fn fanotify(&self) -> Option<BorrowedFd<'_>> {
        self.fanotify.as_ref().map(AsFd::as_fd)
    }

    /// What was written to a FIFO and what that FIFO is, if it is still there.
    pub fn read(&mut self, path: &Path) -> io::Result<Option<(Control, String)>> {
        let (Some(mut file), Some(control)) = (self.fifos.get(path), self.meanings.get(path)) else { return Ok(None) };
        let mut data = vec![0; 65536];
        match file.read(&mut data) {
            Ok(count) => Ok(Some((control.clone(), String::from_utf8_lossy(&data[..count]).into_owned()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those who are opening a file now, with what it is for; each must be let go.
    pub fn opening(&self) -> io::Result<Vec<(FanotifyEvent, Option<Control>)>> {
        let Some(fanotify) = &self.fanotify else { return Ok(Vec::new()) };
        let events = match fanotify.read_events() {
            Err(nix::errno::Errno::EAGAIN) => Vec::new(),
            other => other?,
        };
        let meaning = |event: &FanotifyEvent| {
            let path = fs::read_link(format!("/proc/self/fd/{}", event.fd()?.as_raw_fd())).ok()?;
            self.meaning(&path)
        };
        Ok(events.into_iter().map(|event| (meaning(&event), event)).map(|(control, event)| (event, control)).collect())
    }

    pub fn let_go(&self, event: &FanotifyEvent) -> io::Result<()> {
        if let (Some(fanotify), Some(fd)) = (&self.fanotify, event.fd()) {
            fanotify.write_response(FanotifyResponse::new(fd, Response::FAN_ALLOW))?;
        }
        Ok(())
    }
}
