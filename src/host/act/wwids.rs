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

/// Takes an identity out; one that is not there is fine.
pub fn remove(root: &Root, wwid: &Wwid) -> Result<()> {
    let path = root.path(FILE);
    let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).clone();
    let mut file = options.open(&path).map_err(|error| Error::io("open", &path, &error))?;
    lock::hold(&file, &path, Instant::now() + LOCK)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|error| Error::io("read", &path, &error))?;
    for offset in places(&text, &format!("/{wwid}/")) {
        mark(&file, offset, &path)?;
    }
    Ok(())
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

fn mark(file: &File, offset: u64, path: &Path) -> Result<()> {
    file.write_all_at(b"#", offset).map_err(|error| Error::io("write", path, &error))
}
