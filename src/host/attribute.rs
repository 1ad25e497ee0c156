//! Reading one attribute, link or directory.  What is not there is None or empty: devices vanish while we look.

#![expect(clippy::disallowed_methods, reason = "the one home of file reading")]

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;

use crate::error::{Error, Result};

/// No attribute read here is longer; a longer file is cut, never followed for ever.
const LONGEST: usize = 64 * 1024;

/// What nearly every attribute fits into.
const USUAL: usize = 512;

/// What the kernel says for something that is going away.
fn vanished(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || matches!(error.raw_os_error(), Some(nix::libc::ENODEV | nix::libc::ENXIO | nix::libc::EINVAL))
}

/// The bytes of an attribute.
pub fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::File::open(path).and_then(|file| content(file, <[u8]>::to_vec)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// What `take` makes of a file up to its end or LONGEST.  A host has tens of thousands of attributes, so none is read twice to
/// find its end: sysfs gives one whole, and a read that does not fill its buffer was the last one.  Tables of procfs are
/// different: see `whole`.
fn content<T>(mut file: fs::File, take: impl FnOnce(&[u8]) -> T) -> std::io::Result<T> {
    let mut usual = [0; USUAL];
    let first = loop {
        match file.read(&mut usual) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first < USUAL {
        return Ok(take(&usual[..first]));
    }
    let mut bytes = usual.to_vec();
    file.take((LONGEST - USUAL) as u64).read_to_end(&mut bytes)?;
    Ok(take(&bytes))
}

/// The text of an attribute without surrounding blanks.
pub fn read(path: &Path) -> Result<Option<String>> {
    Ok(read_bytes(path)?.map(|bytes| trimmed(&bytes)))
}

fn trimmed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The text of an attribute, or None for every reason it cannot be had; for optional facts.
pub fn text(path: &Path) -> Option<String> {
    read(path).ok().flatten()
}

/// A directory that is found once for several of its attributes: the way there is longer than the reading.
pub struct Directory {
    path: PathBuf,
    file: fs::File,
}

impl Directory {
    /// None when it is not there.
    pub fn open(path: &Path) -> Option<Directory> {
        let file = fs::File::open(path).ok()?;
        Some(Directory { path: path.to_owned(), file })
    }

    /// The text of an attribute below it, as `text` gives it.
    pub fn text(&self, name: &str) -> Option<String> {
        self.content(name, trimmed)
    }

    /// The bytes of an attribute below it.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.content(name, <[u8]>::to_vec)
    }

    fn content<T>(&self, name: &str, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        content(openat(&self.file, name, flags, Mode::empty()).ok()?.into(), take).ok()
    }

    /// Where a link below it points, one step.
    pub fn link(&self, name: &str) -> Option<PathBuf> {
        readlinkat(&self.file, name).ok().map(PathBuf::from)
    }

    /// The names in a directory below it, sorted.
    pub fn names(&self, name: &str) -> Vec<String> {
        names(&self.path.join(name))
    }

    /// Whether something is there below it, a dangling link not counted.
    pub fn exists(&self, name: &str) -> bool {
        exists(&self.path.join(name))
    }
}

/// The directory that was opened last, for who reads of many devices what they have beside each other.
#[derive(Default)]
pub struct Nearby(Option<Directory>);

impl Nearby {
    /// None when it is not there.
    pub fn open(&mut self, path: &Path) -> Option<&Directory> {
        if self.0.as_ref().is_none_or(|open| open.path != path) {
            self.0 = Directory::open(path);
        }
        self.0.as_ref()
    }
}

/// The text of a table that grows with the host, such as `/proc/self/mountinfo` or multipath's known identities.
pub fn whole(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in a directory, sorted; none when it is not there.
pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = unsorted_names(directory).collect();
    names.sort_unstable();
    names
}

/// The names in a directory as the kernel gives them, for directories with thousands.
pub fn unsorted_names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Where a link points, one step.
pub fn link(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
}

/// Where a link of the kernel's leads, by its text: it is relative, and leads over no other link.  None for what is no link.
pub fn resolved(path: &Path) -> Option<PathBuf> {
    let mut place = path.parent()?.to_path_buf();
    for part in link(path)?.components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

/// The path with every link followed.
pub fn canonical(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Whether something is there, a dangling link not counted.
pub fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok()
}

/// Whether a name is there, even as a dangling link.
pub fn named(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

/// Whether it is a file itself: no link to one, and nothing that opening could wait for.
pub fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

pub fn is_dir(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_dir())
}
