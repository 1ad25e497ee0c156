// SPDX-License-Identifier: Apache-2.0
//! multipath's file of the identities it has made maps of.

use std::fs;
use std::io;
use std::path::Path;

use crate::host::append;

const WWIDS: &str = "/etc/multipath/wwids";

pub fn known_wwids() -> Vec<String> {
    let text = fs::read_to_string(WWIDS).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix('/')?.strip_suffix('/')).map(str::to_owned).collect()
}

pub fn add_wwid(wwid: &str) -> io::Result<()> {
    if known_wwids().iter().any(|known| known == wwid) {
        return Ok(());
    }
    append(Path::new(WWIDS), &format!("/{wwid}/\n"))
}

/// Whether the WWID was there.
pub fn remove_wwid(wwid: &str) -> io::Result<bool> {
    let text = fs::read_to_string(WWIDS)?;
    let line = format!("/{wwid}/");
    let kept: String = text.lines().filter(|other| *other != line).map(|other| format!("{other}\n")).collect();
    let found = kept.len() != text.len();
    if found {
        fs::write(WWIDS, kept)?;
    }
    Ok(found)
}
