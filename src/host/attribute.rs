//! Reading one attribute, link or directory.  What is not there is None or empty: devices vanish while we look.

#![expect(clippy::disallowed_methods, reason = "the one home of file reading")]

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// No attribute read here is longer; a longer file is cut, never followed for ever.
const LONGEST: usize = 64 * 1024;

/// What the kernel says for something that is going away.
fn vanished(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || matches!(error.raw_os_error(), Some(nix::libc::ENODEV | nix::libc::ENXIO | nix::libc::EINVAL))
}

/// The bytes of an attribute.
pub fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST as u64).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// The text of an attribute without surrounding blanks.
pub fn read(path: &Path) -> Result<Option<String>> {
    Ok(read_bytes(path)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// The text of an attribute, or None for every reason it cannot be had; for optional facts.
pub fn text(path: &Path) -> Option<String> {
    read(path).ok().flatten()
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
pub fn unsorted_names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Where a link points, one step.
pub fn link(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
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
