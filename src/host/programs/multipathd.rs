//! `multipathd(8)`: the daemon's interactive commands and the parsers of its answers.

use std::collections::BTreeMap;

use crate::error::{CommandFailure, Error, Result};
use crate::host::Host;
use crate::identifiers::DeviceName;

/// One line of `show paths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Name of the map the path is in, or None.
    pub map: Option<String>,
    /// State in the kernel's map: `active`, `failed`, `undef`.
    pub dm_state: String,
    /// State by the path checker: `ready`, `faulty`, `ghost` ...
    pub checker_state: String,
}

impl Path {
    pub fn is_usable(&self) -> bool {
        self.map.is_some() && self.dm_state == "active" && matches!(self.checker_state.as_str(), "ready" | "ghost")
    }
}

/// `show status`: whether the daemon answers.
pub fn is_running(host: &Host) -> Result<()> {
    let answer = host.runner.multipathd(&["show", "status"])?;
    // multipath-tools before 0.7 exited 0 and printed this when nobody answered.
    if answer.starts_with("error receiving packet") {
        return Err(refused("show status", &answer));
    }
    Ok(())
}

/// `show paths raw format "%d %m %t %T"`, by device.
pub fn paths(host: &Host) -> Result<BTreeMap<DeviceName, Path>> {
    Ok(parse_paths(&host.runner.multipathd(&["show", "paths", "raw", "format", "%d %m %t %T"])?))
}

/// Lines of four words; multipathd prints `ok` when there are no paths, and a log line may stand between.
pub fn parse_paths(text: &str) -> BTreeMap<DeviceName, Path> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [device, map, dm_state, checker_state] = words[..] else {
                return None;
            };
            let map = (!matches!(map, "[orphan]" | "-" | "")).then(|| map.to_owned());
            let path = Path { map, dm_state: dm_state.to_owned(), checker_state: checker_state.to_owned() };
            Some((device.parse().ok()?, path))
        })
        .collect()
}

/// `show config local`: the value of one option in the defaults section.
pub fn default_option(host: &Host, option: &str) -> Result<Option<String>> {
    Ok(parse_default(&host.runner.multipathd(&["show", "config", "local"])?, option))
}

/// The first line `option value` or `option "value"`; the defaults section comes first.
pub fn parse_default(text: &str, option: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(char::is_whitespace)?;
        (name == option).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// `add path sdX`
pub fn add_path(host: &Host, disk: &DeviceName) -> Result<()> {
    expect_ok("add path", &host.runner.multipathd(&["add", "path", disk.as_str()])?)
}

/// `del path sdX`
pub fn remove_path(host: &Host, disk: &DeviceName) -> Result<()> {
    expect_ok("del path", &host.runner.multipathd(&["del", "path", disk.as_str()])?)
}

/// `del map NAME`: flushes the map out of the kernel and forgets it.
pub fn remove_map(host: &Host, name: &str) -> Result<()> {
    expect_ok("del map", &host.runner.multipathd(&["del", "map", name])?)
}

/// `disablequeueing map NAME`: I/O without a path fails instead of waiting.
pub fn disable_queueing(host: &Host, name: &str) -> Result<()> {
    expect_ok("disablequeueing map", &host.runner.multipathd(&["disablequeueing", "map", name])?)
}

/// `resize map NAME`
pub fn resize_map(host: &Host, name: &str) -> Result<()> {
    expect_ok("resize map", &host.runner.multipathd(&["resize", "map", name])?)
}

/// Whether the answer says that the daemon is busy with a reconfiguration.
pub fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Command(failure) if failure.stdout.contains("timeout"))
}

fn expect_ok(request: &str, answer: &str) -> Result<()> {
    if answer.lines().any(|line| line.trim() == "ok") { Ok(()) } else { Err(refused(request, answer)) }
}

fn refused(request: &str, answer: &str) -> Error {
    Error::Command(Box::new(CommandFailure {
        argv: format!("multipathd {request}"),
        code: Some(1),
        stdout: answer.trim().to_owned(),
        stderr: String::new(),
    }))
}
