//! `iscsiadm(8)` of open-iscsi.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::act::runner::{Command, Output};
use crate::identifiers::{Iqn, Portal, Secret};

/// Exit codes (open-iscsi include/iscsi_err.h).
pub const ERR_IDBM: i32 = 6;
pub const ERR_SESSION_EXISTS: i32 = 15;
pub const ERR_LOGIN_AUTH_FAILED: i32 = 24;
pub const ERR_NO_OBJS_FOUND: i32 = 21;
/// What iscsiadm 2.0 gave for most things.
pub const ERR_OLD: i32 = 255;

/// iscsid tries a login once for 15 s when `initial_login_retry_max` is 1, and 8 times when we could not set that.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(150);
/// Logging out of a portal that is gone: iscsid waits `logout_timeout` (15 s).
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(45);
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(90);

fn node(portal: &Portal, iqn: &Iqn) -> Command {
    Command::new(
        "iscsiadm",
        ["-m".to_owned(), "node".to_owned(), "-T".to_owned(), iqn.to_string(), "-p".to_owned(), portal.to_string()],
    )
}

/// Whether the database has a record of the portal.  Told by the outputs: a caller's own `execute=` gives no code.
pub fn has_record(host: &Host, portal: &Portal, iqn: &Iqn) -> Result<bool> {
    let output = host.runner.run(&node(portal, iqn).accept(&[0, ERR_NO_OBJS_FOUND, ERR_OLD]))?;
    Ok(output.stderr.trim().is_empty() && !output.stdout.trim().is_empty())
}

/// Makes the node record with the defaults of iscsid.conf.  Code 6 with a message is a database busy with others.
pub fn new_record(host: &Host, portal: &Portal, iqn: &Iqn, interface: &str) -> Result<()> {
    let command = node(portal, iqn).arg("--interface").arg(interface).arg("--op").arg("new");
    match host.runner.run(&command) {
        Err(Error::Command(failure)) if failure.code == Some(ERR_IDBM) && failure.stderr.trim().is_empty() => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// A setting of a node or discovery record.
pub struct Setting<'a> {
    pub name: &'static str,
    pub value: Value<'a>,
}

pub enum Value<'a> {
    Plain(&'a str),
    Secret(&'a Secret),
}

fn with_settings(mut command: Command, settings: &[Setting<'_>]) -> Command {
    command = command.arg("--op").arg("update");
    for setting in settings {
        command = command.arg("-n").arg(setting.name).arg("-v");
        command = match setting.value {
            Value::Plain(text) => command.arg(text),
            Value::Secret(secret) => command.secret(secret),
        };
    }
    command
}

/// Changes several settings of a record in one command.
pub fn update_record(host: &Host, portal: &Portal, iqn: &Iqn, settings: &[Setting<'_>]) -> Result<()> {
    host.runner.run(&with_settings(node(portal, iqn), settings)).map(drop)
}

/// Logs in and waits for the outcome.  A session that exists already is success.
pub fn login(host: &Host, portal: &Portal, iqn: &Iqn) -> Result<()> {
    let command = node(portal, iqn).arg("--login").accept(&[0, ERR_SESSION_EXISTS]).within(LOGIN_TIMEOUT);
    host.runner.run(&command).map(drop)
}

/// Logs out; no such session is success.
pub fn logout(host: &Host, portal: &Portal, iqn: &Iqn) -> Result<()> {
    let command = node(portal, iqn).arg("--logout").accept(&[0, ERR_NO_OBJS_FOUND, ERR_OLD]).within(LOGOUT_TIMEOUT);
    host.runner.run(&command).map(drop)
}

/// Deletes the record; no such record is success.
pub fn delete_record(host: &Host, portal: &Portal, iqn: &Iqn) -> Result<()> {
    let command = node(portal, iqn).arg("--op").arg("delete").accept(&[0, ERR_NO_OBJS_FOUND, ERR_OLD]);
    host.runner.run(&command).map(drop)
}

/// What a portal answers to SendTargets, without a trace in the database: records of other volumes keep their
/// settings and no new ones are made.
pub fn send_targets(host: &Host, portal: &Portal, interface: &str) -> Result<Vec<(Portal, Iqn)>> {
    let command = Command::new("iscsiadm", ["-m", "discovery", "-t", "sendtargets", "-I", interface, "-p"])
        .arg(portal.to_string())
        .arg("-o")
        .arg("nonpersistent")
        .within(DISCOVERY_TIMEOUT);
    Ok(parse_send_targets(&host.runner.run(&command)?.stdout))
}

fn discovery_db(portal: &Portal, interface: &str) -> Command {
    Command::new("iscsiadm", ["-m", "discoverydb", "-t", "sendtargets", "-I", interface, "-p"]).arg(portal.to_string())
}

/// Makes a discovery record, which can carry credentials.
pub fn new_discovery_record(host: &Host, portal: &Portal, interface: &str) -> Result<()> {
    host.runner.run(&discovery_db(portal, interface).arg("--op").arg("new").accept(&[0, ERR_OLD])).map(drop)
}

pub fn update_discovery_record(host: &Host, portal: &Portal, interface: &str, settings: &[Setting<'_>]) -> Result<()> {
    host.runner.run(&with_settings(discovery_db(portal, interface), settings)).map(drop)
}

pub fn delete_discovery_record(host: &Host, portal: &Portal, interface: &str) -> Result<()> {
    let command = discovery_db(portal, interface).arg("--op").arg("delete");
    host.runner.run(&command.accept(&[0, ERR_IDBM, ERR_NO_OBJS_FOUND, ERR_OLD])).map(drop)
}

/// SendTargets with the credentials of the portal's discovery record.
pub fn discover_with_record(host: &Host, portal: &Portal, interface: &str) -> Result<Vec<(Portal, Iqn)>> {
    let command =
        discovery_db(portal, interface).arg("-o").arg("nonpersistent").arg("--discover").within(DISCOVERY_TIMEOUT);
    Ok(parse_send_targets(&host.runner.run(&command)?.stdout))
}

/// Lines `10.0.0.1:3260,1 iqn.2010-10.org.openstack:volume`; everything else iscsiadm prints is passed over.
pub fn parse_send_targets(text: &str) -> Vec<(Portal, Iqn)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (portal, iqn, None) = (words.next()?, words.next()?, words.next()) else {
                return None;
            };
            Some((portal.parse().ok()?, iqn.parse().ok()?))
        })
        .collect()
}

/// The transport of a named interface: `iscsiadm -m iface -I NAME` prints `iface.transport_name = bnx2i`.
pub fn interface_transport(host: &Host, name: &str) -> Result<Option<String>> {
    let command = Command::new("iscsiadm", ["-m", "iface", "-I", name]).accept(&[0, 2, 6]);
    let Output { stdout, .. } = host.runner.run(&command)?;
    Ok(parse_interface_transport(&stdout))
}

pub fn parse_interface_transport(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "iface.transport_name").then(|| value.trim().to_owned())
    })
}

/// Whether a login failed because the target did not accept the credentials: trying again will not help.
pub fn is_auth_failure(error: &Error) -> bool {
    error.exit_code() == Some(ERR_LOGIN_AUTH_FAILED)
}
