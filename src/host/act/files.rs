//! Files changed without a program: node records, and links udev has forgotten.

#![expect(clippy::disallowed_methods, reason = "the one home of file changes")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::act::lock::fnv1a;
use crate::host::root::Root;

/// Writes a file that may hold secrets: complete or not at all, readable by its owner only.  It is made in `scratch`,
/// on the same file system, because whoever reads its directory may take every file in it for a finished one.
pub fn write_secret(root: &Root, path: &Path, content: &str, scratch: &Path) -> Result<()> {
    let place = root.path(path);
    let failed = |error: &std::io::Error| Error::io("write", path, error);
    let Some(directory) = place.parent() else {
        return Err(Error::Io { verb: "write", path: path.to_path_buf(), reason: "no directory".to_owned() });
    };
    let temporary = root.path(temporary_of(path, scratch));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .and_then(|()| move_into(directory, &temporary, &place));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(&error)
    })
}

/// The same name every time: what a killed process left is overwritten by the next.  Writers hold a lock.
fn temporary_of(path: &Path, scratch: &Path) -> PathBuf {
    scratch.join(format!(".os-brick-{:016x}", fnv1a(path.as_os_str().as_bytes())))
}

/// Removes what a process left that was killed while it wrote the file.
pub fn remove_unfinished(root: &Root, path: &Path, scratch: &Path) -> Result<()> {
    remove(root, &temporary_of(path, scratch))
}

/// Moves a file into a directory that is made when it is missing.
fn move_into(directory: &Path, file: &Path, place: &Path) -> std::io::Result<()> {
    // Whoever takes the last record away removes the directory, maybe just now, and somebody else makes it again.
    const TRIES: u32 = 16;
    // The daemon's umask is 0, so every mode is said.
    let attempt = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        fs::rename(file, place)
    };
    for _ in 1..TRIES {
        match attempt() {
            // The directory went before the rename.
            Err(error) if error.kind() == ErrorKind::NotFound && file.exists() => {}
            // It was there when it was to be made, and gone when it was looked at.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    attempt()
}

/// Removes a file or link; one that is not there is fine.
pub fn remove(root: &Root, path: &Path) -> Result<()> {
    match fs::remove_file(root.path(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes a directory if nothing is in it.
pub fn remove_empty(root: &Root, path: &Path) {
    let _ = fs::remove_dir(root.path(path));
}

/// Reads the first block of a device, past the page cache: is anybody there?
pub fn read_first_block(root: &Root, path: &Path) -> Result<()> {
    use std::io::Read;
    // O_DIRECT wants memory, length and offset aligned to the device's block, 4096 bytes at most.
    const BLOCK: usize = 4096;
    let mut memory = vec![0_u8; 2 * BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
    let open = |flags| fs::OpenOptions::new().read(true).custom_flags(flags).open(root.path(path));
    // A pretended device in tests may lie on a file system without O_DIRECT.
    let opened = open(nix::libc::O_DIRECT).or_else(|error| match error.kind() {
        ErrorKind::InvalidInput => open(0),
        _ => Err(error),
    });
    opened
        .and_then(|mut file| file.read(&mut memory[start..start + BLOCK]))
        .map(drop)
        .map_err(|error| Error::io("read", path, &error))
}
