// SPDX-License-Identifier: Apache-2.0
//! `iscsiadm` of open-iscsi 2.1.8: the options os-brick uses, with its texts and exit codes.

use std::fs;
use std::path::Path;

use crate::commands::Reply;
use crate::host::Host;
use crate::model::{PORT, Session};
use crate::records::{self, Record};

const SEND_TARGETS: &str = "/etc/iscsi/send_targets";
const NO_RECORDS: &str = "iscsiadm: No records found\n";

#[derive(Default)]
struct Options {
    mode: String,
    iqn: Option<String>,
    address: Option<String>,
    port: u16,
    iface: Option<String>,
    op: Option<String>,
    names: Vec<String>,
    values: Vec<String>,
    sid: Option<u32>,
    print_level: Option<String>,
    login: bool,
    logout: bool,
    discover: bool,
    rescan: bool,
    version: bool,
}

impl Options {
    fn parse(argv: &[String]) -> Options {
        let mut options = Options { port: PORT, ..Options::default() };
        let mut words = argv[1..].iter();
        while let Some(word) = words.next() {
            let (name, joined) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || joined.clone().or_else(|| words.next().cloned()).unwrap_or_default();
            match name {
                "-m" | "--mode" => options.mode = value(),
                "-T" | "--targetname" => options.iqn = Some(value()),
                "-p" | "--portal" => options.portal(&value()),
                "-I" | "--interface" => options.iface = Some(value()),
                "-o" | "--op" => options.op = Some(value()),
                "-n" | "--name" => options.names.push(value()),
                "-v" | "--value" => options.values.push(value()),
                "-r" | "--sid" => options.sid = value().parse().ok(),
                "-P" | "--print" => options.print_level = Some(value()),
                "-t" | "--type" | "-d" | "--debug" => drop(value()),
                "-l" | "--login" => options.login = true,
                "-u" | "--logout" => options.logout = true,
                "-D" | "--discover" => options.discover = true,
                "-R" | "--rescan" => options.rescan = true,
                "-V" | "--version" => options.version = true,
                _ => {}
            }
        }
        options
    }

    fn portal(&mut self, portal: &str) {
        let portal = portal.split(',').next().unwrap_or(portal);
        let colons = portal.matches(':').count();
        let (address, port) = match portal.rsplit_once(':') {
            Some((address, port)) if colons == 1 || portal.starts_with('[') && !portal.ends_with(']') => {
                (address, port)
            }
            _ => (portal, ""),
        };
        self.address = Some(address.trim_matches(['[', ']']).to_owned());
        self.port = port.parse().unwrap_or(PORT);
    }

    fn records(&self) -> Vec<Record> {
        let mut found = records::all();
        found.retain(|record| {
            self.iqn.as_ref().is_none_or(|iqn| *iqn == record.iqn)
                && self.address.as_ref().is_none_or(|address| *address == record.address && self.port == record.port)
        });
        found
    }
}

pub fn run(host: &mut Host, argv: &[String]) -> Reply {
    let options = Options::parse(argv);
    if options.version {
        return Reply::out("iscsiadm version 2.1.8\n");
    }
    match options.mode.as_str() {
        "session" => session(host, &options),
        "node" => node(host, &options),
        "discovery" => discover(host, &options),
        "discoverydb" => discoverydb(host, &options),
        "iface" => iface(&options),
        _ => Reply::error(7, "iscsiadm: unrecognized mode\n"),
    }
}

fn iface(options: &Options) -> Reply {
    match options.iface.as_deref() {
        None => Reply::out("default tcp,<empty>,<empty>,<empty>,<empty>\niser iser,<empty>,<empty>,<empty>,<empty>\n"),
        Some(name @ ("default" | "iser")) => {
            let transport = if name == "iser" { "iser" } else { "tcp" };
            Reply::out(&format!("iface.iscsi_ifacename = {name}\niface.transport_name = {transport}\n"))
        }
        Some(name) => Reply::error(6, &format!("iscsiadm: Could not read iface {name} (6).\n")),
    }
}

/// The commands that only read, answered without a daemon: sessions from sysfs, records from /etc/iscsi.
pub fn run_alone(argv: &[String]) -> Option<Reply> {
    let options = Options::parse(argv);
    match options.mode.as_str() {
        "session" => Some(list_sessions(&sessions_in_sysfs())),
        "node" if options.op.is_none() && !options.login && !options.logout => Some(show_records(&options)),
        _ => None,
    }
}

fn sessions_in_sysfs() -> Vec<Session> {
    let read = |path: String| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mut sessions = Vec::new();
    for entry in fs::read_dir("/sys/class/iscsi_session").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let sid: u32 = name.trim_start_matches("session").parse().unwrap_or(0);
        let connection = format!("/sys/class/iscsi_connection/connection{sid}:0");
        sessions.push(Session {
            sid,
            host: 0,
            iqn: read(format!("/sys/class/iscsi_session/{name}/targetname")),
            address: read(format!("{connection}/persistent_address")),
            port: read(format!("{connection}/persistent_port")).parse().unwrap_or(PORT),
            tpgt: read(format!("/sys/class/iscsi_session/{name}/tpgt")).parse().unwrap_or(1),
        });
    }
    sessions.sort_by_key(|session| session.sid);
    sessions
}

fn list_sessions(sessions: &[Session]) -> Reply {
    if sessions.is_empty() {
        return Reply::error(21, "iscsiadm: No active sessions.\n");
    }
    let line = |s: &Session| format!("tcp: [{}] {},{} {} (non-flash)\n", s.sid, s.portal(), s.tpgt, s.iqn);
    Reply::out(&sessions.iter().map(line).collect::<String>())
}

fn session(host: &mut Host, options: &Options) -> Reply {
    let chosen: Vec<Session> =
        host.sessions.values().filter(|session| options.sid.is_none_or(|sid| sid == session.sid)).cloned().collect();
    if options.logout && !chosen.is_empty() {
        return logout(host, &chosen);
    }
    if options.rescan {
        for session in &chosen {
            host.scan(session.sid, &crate::model::Scan::All);
        }
    }
    list_sessions(&chosen)
}

fn node(host: &mut Host, options: &Options) -> Reply {
    match options.op.as_deref() {
        Some("new") => return new_record(options),
        Some("update") => return update(options),
        Some("delete") => return delete(host, options),
        _ => {}
    }
    if options.login {
        return login(host, options);
    }
    if options.logout {
        let chosen: Vec<Session> = host
            .sessions
            .values()
            .filter(|session| options.iqn.as_ref().is_none_or(|iqn| *iqn == session.iqn))
            .filter(|session| {
                options
                    .address
                    .as_ref()
                    .is_none_or(|address| *address == session.address && options.port == session.port)
            })
            .cloned()
            .collect();
        return logout(host, &chosen);
    }
    show_records(options)
}

fn show_records(options: &Options) -> Reply {
    let found = options.records();
    if found.is_empty() {
        return Reply::error(21, NO_RECORDS);
    }
    let whole = options.iqn.is_some() || options.address.is_some() || options.op.is_some();
    let show = |record: &Record| match whole {
        true => record.text(),
        false => format!("{},{} {}\n", record.portal(), record.tpgt, record.iqn),
    };
    Reply::out(&found.iter().map(show).collect::<String>())
}

fn new_record(options: &Options) -> Reply {
    let (Some(iqn), Some(address)) = (&options.iqn, &options.address) else {
        return Reply::error(7, "iscsiadm: target name and portal are needed\n");
    };
    let iface = options.iface.as_deref().unwrap_or("default");
    let record = records::new(iqn, address, options.port, iface, None);
    match record.write() {
        Ok(()) => Reply::out(&format!(
            "New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if={iface}] {address},{},-1 {iqn}] added\n",
            options.port
        )),
        Err(error) => Reply::error(6, &format!("iscsiadm: Error while adding record: {error}\n")),
    }
}

fn update(options: &Options) -> Reply {
    let found = options.records();
    if found.is_empty() {
        return Reply::error(21, NO_RECORDS);
    }
    for mut record in found {
        for (name, value) in options.names.iter().zip(&options.values) {
            if !record.set(name, value) {
                return Reply::error(7, &format!("iscsiadm: Cannot modify {name}. It is not a known parameter.\n"));
            }
        }
        if let Err(error) = record.write() {
            return Reply::error(6, &format!("iscsiadm: Could not write the record: {error}\n"));
        }
    }
    Reply::out("")
}

fn delete(host: &Host, options: &Options) -> Reply {
    let found = options.records();
    if found.is_empty() {
        return Reply::error(21, NO_RECORDS);
    }
    for record in found {
        if host.find_session(&record.iqn, &record.address, record.port).is_some() {
            return Reply::error(
                15,
                "iscsiadm: This command will remove the record, but a session is using it. Logout session then rerun command to remove record.\niscsiadm: Could not execute operation on all records: session exists\n",
            );
        }
        let _ = record.remove();
    }
    Reply::out("")
}

fn login(host: &mut Host, options: &Options) -> Reply {
    let found = options.records();
    if found.is_empty() {
        return Reply::error(21, NO_RECORDS);
    }
    let mut reply = Reply::out("");
    for record in found {
        let place = format!("[iface: default, target: {}, portal: {},{}]", record.iqn, record.address, record.port);
        if host.find_session(&record.iqn, &record.address, record.port).is_some() {
            reply.code = 15;
            reply.stderr.push_str("iscsiadm: default: 1 session requested, but 1 already present.\niscsiadm: Could not log into all portals\n");
        } else if !host.config.portals.contains(&record.address) || record.port != PORT {
            reply.code = 8;
            reply.stderr.push_str(&format!(
                "iscsiadm: Could not login to {place}.\niscsiadm: initiator reported error (8 - connection timed out)\niscsiadm: Could not log into all portals\n"
            ));
        } else {
            let manual = record.get("node.session.scan") == Some("manual");
            match host.login(&record.iqn, &record.address, record.port, manual) {
                Ok(_) => reply.add(&format!("Logging in to {place}\nLogin to {place} successful.\n")),
                Err(error) => return Reply::error(1, &format!("iscsiadm: simulator: {error}\n")),
            }
        }
    }
    reply
}

fn logout(host: &mut Host, sessions: &[Session]) -> Reply {
    if sessions.is_empty() {
        return Reply::error(21, "iscsiadm: No matching sessions found\n");
    }
    let mut reply = Reply::out("");
    for session in sessions {
        let place =
            format!("[sid: {}, target: {}, portal: {},{}]", session.sid, session.iqn, session.address, session.port);
        host.logout(session.sid);
        reply.add(&format!("Logging out of session {place}\nLogout of {place} successful.\n"));
    }
    reply
}

fn discover(host: &Host, options: &Options) -> Reply {
    let Some(address) = &options.address else { return Reply::error(7, "iscsiadm: portal is needed\n") };
    if !host.config.portals.contains(address) {
        return Reply::error(
            4,
            "iscsiadm: connect to portal failed\niscsiadm: Could not perform SendTargets discovery: encountered connection failure\n",
        );
    }
    let mut reply = Reply::out("");
    let iface = options.iface.as_deref().unwrap_or("default");
    let persistent = options.op.as_deref() != Some("nonpersistent");
    if persistent {
        let _ = fs::create_dir_all(Path::new(SEND_TARGETS).join(format!("{address},{}", options.port)));
    }
    for iqn in &host.config.targets {
        for portal in &host.config.portals {
            if persistent {
                let _ = records::new(iqn, portal, PORT, iface, Some((address, options.port))).write();
            }
            reply.add(&format!("{portal}:{PORT},1 {iqn}\n"));
        }
    }
    reply
}

fn discoverydb(host: &Host, options: &Options) -> Reply {
    if options.discover {
        return discover(host, options);
    }
    let Some(address) = &options.address else { return discovered() };
    let place = Path::new(SEND_TARGETS).join(format!("{address},{}", options.port));
    match options.op.as_deref() {
        Some("new") => {
            let _ = fs::create_dir_all(place);
            Reply::out("New discovery record added\n")
        }
        Some("delete") if fs::remove_dir_all(&place).is_ok() => Reply::out(""),
        Some("update" | "show") | None if place.exists() => Reply::out(""),
        _ => Reply::error(6, "iscsiadm: Discovery record not found.\n"),
    }
}

/// `-m discoverydb -o show -P 1`
fn discovered() -> Reply {
    let mut text = String::from("SENDTARGETS:\n");
    for entry in fs::read_dir(SEND_TARGETS).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        text.push_str(&format!("DiscoveryAddress: {name}\n"));
        let mut iqn = String::new();
        for record in records::all() {
            let from = format!(
                "{},{}",
                record.get("node.discovery_address").unwrap_or(""),
                record.get("node.discovery_port").unwrap_or("")
            );
            if from != name {
                continue;
            }
            if record.iqn != iqn {
                text.push_str(&format!("Target: {}\n", record.iqn));
                iqn.clone_from(&record.iqn);
            }
            text.push_str(&format!("\tPortal: {},{}\n\t\tIface Name: default\n", record.portal(), record.tpgt));
        }
    }
    text.push_str("iSNS:\nNo targets found.\nSTATIC:\nNo targets found.\nFIRMWARE:\nNo targets found.\n");
    Reply::out(&text)
}
