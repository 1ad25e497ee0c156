//! Files changed without a program: node records, and links udev has forgotten.

#![expect(clippy::disallowed_methods, reason = "the one home of file changes")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{Error, Result};
use crate::host::root::Root;

/// Writes a file that may hold secrets: complete or not at all, readable by its owner only.
pub fn write_secret(root: &Root, path: &Path, content: &str) -> Result<()> {
    let place = root.path(path);
    let failed = |error: &std::io::Error| Error::io("write", path, error);
    let (Some(directory), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(Error::Io { verb: "write", path: path.to_path_buf(), reason: "no file name".to_owned() });
    };
    // The daemon's umask is 0, so every mode is said.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| failed(&e))?;
    // iscsiadm takes every file in the directory for a record, so the new one is made one level up.
    let beside = directory.parent().unwrap_or(directory);
    let temporary = beside.join(format!(".os-brick-{}-{}", std::process::id(), name.to_string_lossy()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .and_then(|()| fs::rename(&temporary, &place));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(&error)
    })
}

/// Removes a file or link; one that is not there is fine.
pub fn remove(root: &Root, path: &Path) -> Result<()> {
    match fs::remove_file(root.path(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes a directory if nothing is in it.
pub fn remove_empty(root: &Root, path: &Path) {
    let _ = fs::remove_dir(root.path(path));
}

/// Writes a device's dirty pages out and has it empty its cache (`fsync(2)` on a block device).
pub fn sync_device(root: &Root, path: &Path) -> Result<()> {
    fs::File::open(root.path(path)).and_then(|file| file.sync_all()).map_err(|error| Error::io("flush", path, &error))
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
        std::io::ErrorKind::InvalidInput => open(0),
        _ => Err(error),
    });
    opened
        .and_then(|mut file| file.read(&mut memory[start..start + BLOCK]))
        .map(drop)
        .map_err(|error| Error::io("read", path, &error))
}
