//! A directory of files nobody else may write or swap: opened step by step, never through a link.

#![expect(clippy::disallowed_methods, reason = "files are made and removed here")]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::error::{Error, Result};
use crate::host::root::Root;

/// An open directory that belongs to root or to this process' user, and that only its owner writes.
pub struct PrivateDirectory {
    directory: OwnedFd,
    /// As the machine names it, for errors.
    path: std::path::PathBuf,
}

impl PrivateDirectory {
    /// Opens the directory; it is made when only its last part is missing.
    pub fn open(root: &Root, path: &Path) -> Result<PrivateDirectory> {
        let failed = |errno: Errno| Error::Io { verb: "open", path: path.to_path_buf(), reason: reason(errno) };
        let mut parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(Ok(name)),
            Component::RootDir | Component::CurDir => None,
            _ => Some(Err(Errno::EINVAL)),
        });
        let start: OwnedFd = File::open(root.path("/")).map_err(|error| Error::io("open", path, &error))?.into();
        let mut directory = start;
        let mut next = parts.next().transpose().map_err(failed)?;
        while let Some(name) = next {
            next = parts.next().transpose().map_err(failed)?;
            let step = || openat(&directory, name, directory_flags(), Mode::empty());
            let opened = match step() {
                Err(Errno::ENOENT) if next.is_none() => match mkdirat(&directory, name, Mode::S_IRWXU) {
                    Ok(()) | Err(Errno::EEXIST) => step(),
                    Err(errno) => Err(errno),
                },
                result => result,
            };
            directory = opened.map_err(failed)?;
        }
        let status = fstat(&directory).map_err(failed)?;
        let ours = status.st_uid == 0 || status.st_uid == geteuid().as_raw();
        if !ours || status.st_mode & 0o022 != 0 {
            let reason =
                format!("others than root may write it (owner {}, mode {:o})", status.st_uid, status.st_mode & 0o7777);
            return Err(Error::Io { verb: "use", path: path.to_path_buf(), reason });
        }
        Ok(PrivateDirectory { directory, path: path.to_path_buf() })
    }

    /// Writes a file that its owner alone reads: the new content or the old, also after a crash.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        // The same name every time: what a killed process left is replaced by the next.  Writers hold a lock.
        let temporary = format!(".{name}.new");
        let written = self.write_new(&temporary, content).and_then(|()| {
            renameat(&self.directory, temporary.as_str(), &self.directory, name)?;
            Ok(self.sync()?)
        });
        written.map_err(|error: std::io::Error| {
            let _ = unlinkat(&self.directory, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
            Error::io("write", &self.path.join(name), &error)
        })
    }

    fn write_new(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        file.write_all(content)?;
        file.sync_all()
    }

    /// Removes a file, for good; one that is not there is fine.
    pub fn remove(&self, name: &str) -> Result<()> {
        let removed = match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => self.sync(),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        };
        removed.map_err(|errno| Error::Io { verb: "remove", path: self.path.join(name), reason: reason(errno) })
    }

    fn sync(&self) -> nix::Result<()> {
        nix::unistd::fsync(&self.directory)
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn reason(errno: Errno) -> String {
    match errno {
        // What opening a link as a directory gives.
        Errno::ELOOP | Errno::ENOTDIR => format!("{}; no part of the path may be a link", errno.desc()),
        _ => errno.desc().to_owned(),
    }
}
