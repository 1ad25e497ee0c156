// SPDX-License-Identifier: Apache-2.0
//! open-iscsi's node records as files: /etc/iscsi/nodes/IQN/ADDRESS,PORT or .../ADDRESS,PORT,TPGT/IFACE.
//!
//! Records may be written by a program other than ours, so they are read again each time.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub const NODES: &str = "/etc/iscsi/nodes";

#[derive(Debug, Clone)]
pub struct Record {
    pub path: PathBuf,
    pub iqn: String,
    pub address: String,
    pub port: u16,
    /// As `iscsiadm` prints it: -1 when the record says nothing better.
    pub tpgt: i32,
    pub values: Vec<(String, String)>,
}

impl Record {
    pub fn portal(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) -> bool {
        if let Some(entry) = self.values.iter_mut().find(|(key, _)| key == name) {
            entry.1 = value.to_owned();
            return true;
        }
        let known = name.starts_with("node.session.auth.") || name.starts_with("iface.");
        if known {
            self.values.push((name.to_owned(), value.to_owned()));
        }
        known
    }

    pub fn text(&self) -> String {
        let mut text = String::from("# BEGIN RECORD 2.1.8\n");
        for (name, value) in &self.values {
            text.push_str(&format!("{name} = {value}\n"));
        }
        text.push_str("# END RECORD\n");
        text
    }

    pub fn write(&self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&self.path)?;
        file.write_all(self.text().as_bytes())
    }

    /// Removes the file and the directories it leaves empty.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        let mut directory = self.path.parent();
        while let Some(parent) = directory {
            if parent == Path::new(NODES) || fs::remove_dir(parent).is_err() {
                break;
            }
            directory = parent.parent();
        }
        Ok(())
    }
}

/// A new record with open-iscsi's defaults; `discovered_at` gives the sendtargets portal.
pub fn new(iqn: &str, address: &str, port: u16, iface: &str, discovered_at: Option<(&str, u16)>) -> Record {
    let tpgt = if discovered_at.is_some() { 1 } else { -1 };
    let directory = Path::new(NODES).join(iqn);
    let path = match discovered_at {
        Some(_) => directory.join(format!("{address},{port},{tpgt}")).join(iface),
        None if iface == "default" => directory.join(format!("{address},{port}")),
        None => directory.join(format!("{address},{port}")).join(iface),
    };
    let transport = if iface == "iser" { "iser" } else { "tcp" };
    let mut values: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
    add("node.name", iqn);
    add("node.tpgt", &tpgt.to_string());
    add("node.startup", "manual");
    add("node.leading_login", "No");
    add("iface.iscsi_ifacename", iface);
    add("iface.transport_name", transport);
    if let Some((from, from_port)) = discovered_at {
        add("node.discovery_address", from);
        add("node.discovery_port", &from_port.to_string());
        add("node.discovery_type", "send_targets");
    } else {
        add("node.discovery_type", "static");
    }
    for (name, value) in SESSION_DEFAULTS {
        add(name, value);
    }
    add("node.conn[0].address", address);
    add("node.conn[0].port", &port.to_string());
    for (name, value) in CONNECTION_DEFAULTS {
        add(name, value);
    }
    Record { path, iqn: iqn.to_owned(), address: address.to_owned(), port, tpgt, values }
}

const SESSION_DEFAULTS: &[(&str, &str)] = &[
    ("node.session.initial_cmdsn", "0"),
    ("node.session.initial_login_retry_max", "8"),
    ("node.session.xmit_thread_priority", "-20"),
    ("node.session.cmds_max", "128"),
    ("node.session.queue_depth", "32"),
    ("node.session.nr_sessions", "1"),
    ("node.session.reopen_max", "0"),
    ("node.session.auth.authmethod", "None"),
    ("node.session.auth.chap_algs", "MD5"),
    ("node.session.timeo.replacement_timeout", "120"),
    ("node.session.err_timeo.abort_timeout", "15"),
    ("node.session.err_timeo.lu_reset_timeout", "30"),
    ("node.session.err_timeo.tgt_reset_timeout", "30"),
    ("node.session.err_timeo.host_reset_timeout", "60"),
    ("node.session.iscsi.FastAbort", "Yes"),
    ("node.session.iscsi.InitialR2T", "No"),
    ("node.session.iscsi.ImmediateData", "Yes"),
    ("node.session.iscsi.FirstBurstLength", "262144"),
    ("node.session.iscsi.MaxBurstLength", "16776192"),
    ("node.session.iscsi.DefaultTime2Retain", "0"),
    ("node.session.iscsi.DefaultTime2Wait", "2"),
    ("node.session.iscsi.MaxConnections", "1"),
    ("node.session.iscsi.MaxOutstandingR2T", "1"),
    ("node.session.iscsi.ERL", "0"),
    ("node.session.scan", "auto"),
];

const CONNECTION_DEFAULTS: &[(&str, &str)] = &[
    ("node.conn[0].startup", "manual"),
    ("node.conn[0].tcp.window_size", "524288"),
    ("node.conn[0].tcp.type_of_service", "0"),
    ("node.conn[0].timeo.logout_timeout", "15"),
    ("node.conn[0].timeo.login_timeout", "15"),
    ("node.conn[0].timeo.auth_timeout", "45"),
    ("node.conn[0].timeo.noop_out_interval", "5"),
    ("node.conn[0].timeo.noop_out_timeout", "5"),
    ("node.conn[0].iscsi.MaxXmitDataSegmentLength", "0"),
    ("node.conn[0].iscsi.MaxRecvDataSegmentLength", "262144"),
    ("node.conn[0].iscsi.HeaderDigest", "None"),
    ("node.conn[0].iscsi.DataDigest", "None"),
    ("node.conn[0].iscsi.IFMarker", "No"),
    ("node.conn[0].iscsi.OFMarker", "No"),
];

/// Every record below `/etc/iscsi/nodes`, in the order of the file names.
pub fn all() -> Vec<Record> {
    let mut files = Vec::new();
    for target in entries(Path::new(NODES)) {
        for portal in entries(&target) {
            if portal.is_dir() {
                files.extend(entries(&portal));
            } else {
                files.push(portal);
            }
        }
    }
    files.iter().filter_map(|path| read(path)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// None for a file that is no complete record: iscsiadm would refuse it too.
fn read(path: &Path) -> Option<Record> {
    let text = fs::read_to_string(path).ok()?;
    let mut values = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=')?;
        values.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let get = |name: &str| values.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    Some(Record {
        path: path.to_owned(),
        iqn: get("node.name")?,
        address: get("node.conn[0].address")?,
        port: get("node.conn[0].port")?.parse().ok()?,
        tpgt: get("node.tpgt").and_then(|tpgt| tpgt.parse().ok()).unwrap_or(-1),
        values,
    })
}
