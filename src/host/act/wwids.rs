//! `/etc/multipath/wwids`: the identities multipath has made maps of, one `/WWID/` a line (multipath-tools,
//! `libmultipath/wwids.c`).
//!
//! multipath and multipathd lock the whole file while they change it, and make a comment of what they remove.

#![expect(clippy::disallowed_methods, reason = "the one home of this file's changes")]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;

use crate::error::{Error, Result};
use crate::host::act::lock;
use crate::host::root::Root;
use crate::identifiers::Wwid;

const FILE: &str = "/etc/multipath/wwids";
/// multipath itself waits for 30 s; nobody holds the lock longer than it takes to write a line.
const LOCK: Duration = Duration::from_secs(10);
/// An attach does without before it waits that long.
const LOCK_TO_ADD: Duration = Duration::from_secs(1);

/// Writes an identity down; false when it was there.  The comment an earlier removal made of it becomes the line again, so that
/// the file does not grow with every attach.
pub fn add(root: &Root, wwid: &Wwid) -> Result<bool> {
    let path = root.path(FILE);
    let (file, text) = held(&path, LOCK_TO_ADD)?;
    if !places(&text, &format!("/{wwid}/")).is_empty() {
        return Ok(false);
    }
    match places(&text, &format!("#{wwid}/")).first() {
        Some(offset) => write(&file, b"/", *offset, &path)?,
        None => {
            let end = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
            write(&file, format!("{end}/{wwid}/\n").as_bytes(), text.len() as u64, &path)?;
        }
    }
    Ok(true)
}

/// Takes an identity out; one that is not there is fine.
pub fn remove(root: &Root, wwid: &Wwid) -> Result<()> {
    let path = root.path(FILE);
    let (file, text) = held(&path, LOCK)?;
    for offset in places(&text, &format!("/{wwid}/")) {
        write(&file, b"#", offset, &path)?;
    }
    Ok(())
}

/// The file, locked until it is dropped, and what is in it.
fn held(path: &Path, timeout: Duration) -> Result<(File, Vec<u8>)> {
    let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).clone();
    let mut file = options.open(path).map_err(|error| Error::io("open", path, &error))?;
    lock::hold(&file, path, Instant::now() + timeout)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|error| Error::io("read", path, &error))?;
    Ok((file, text))
}

/// Where the lines begin that are this text.
fn places(text: &[u8], line: &str) -> Vec<u64> {
    let mut offset = 0;
    let mut found = Vec::new();
    for one in text.split_inclusive(|byte| *byte == b'\n') {
        if one.trim_ascii_end() == line.as_bytes() {
            found.push(offset);
        }
        offset += one.len() as u64;
    }
    found
}

fn write(file: &File, text: &[u8], offset: u64, path: &Path) -> Result<()> {
    file.write_all_at(text, offset).map_err(|error| Error::io("write", path, &error))
}
