//! open-iscsi's database as files, in the format of 2.1.8: node records and discovery records.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::storage::split_portal;
use super::tree::Tree;

const NODES: &str = "/etc/iscsi/nodes";

/// What `--op new` writes, taken from a Debian 12 host; empty settings are left out of the file.
const DEFAULTS: &str = include_str!("../fixtures/programs/node_record-op-new-2.1.8.txt");

/// The settings of a record, in the file's order.
pub struct Record {
    lines: Vec<(String, String)>,
}

impl Record {
    pub fn parse(text: &str) -> Record {
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.trim().into(), value.trim().into()));
        Record { lines: text.lines().filter(|line| !line.starts_with('#')).filter_map(pair).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        match self.lines.iter_mut().find(|(key, _)| key == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.lines.push((name.to_owned(), value.to_owned())),
        }
    }

    pub fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        format!("# BEGIN RECORD 2.1.8\n{lines}# END RECORD\n")
    }
}

/// `nodes/IQN/IP,PORT`
pub fn place(portal: &str, iqn: &str) -> String {
    let (address, port) = split_portal(portal);
    format!("{NODES}/{iqn}/{address},{port}")
}

/// Writes a record file as open-iscsi does, readable by root only.
pub fn write(tree: &Tree, path: &str, record: &Record) {
    tree.write(path, record.text());
    let _ = fs::set_permissions(tree.place(path), fs::Permissions::from_mode(0o600));
}

/// A record with the defaults; `iscsid.conf` has its say.
pub fn fresh(tree: &Tree, portal: &str, iqn: &str, interface: &str) -> Record {
    let (address, port) = split_portal(portal);
    let mut record = Record::parse(DEFAULTS);
    record.set("node.name", iqn);
    record.set("iface.iscsi_ifacename", interface);
    record.set("iface.transport_name", if interface == "iser" { "iser" } else { "tcp" });
    record.set("node.conn[0].address", &address);
    record.set("node.conn[0].port", &port.to_string());
    for (name, value) in Record::parse(&tree.read("/etc/iscsi/iscsid.conf").unwrap_or_default()).lines {
        record.set(&name, &value);
    }
    record
}

/// The file with a portal's settings: the record itself, or the first interface below it.
pub fn file_of(tree: &Tree, portal: &str, iqn: &str) -> Option<String> {
    let place = place(portal, iqn);
    if tree.is_file(&place) {
        return Some(place);
    }
    let directory = format!("{NODES}/{iqn}");
    let discovered = tree
        .names(&directory)
        .into_iter()
        .find(|name| format!("{directory}/{name}").starts_with(&format!("{place},")))?;
    let directory = format!("{directory}/{discovered}");
    tree.names(&directory).first().map(|interface| format!("{directory}/{interface}"))
}

/// A record as discovery leaves it: `nodes/IQN/IP,PORT,TPGT/IFACE`.
pub fn write_discovered(tree: &Tree, portal: &str, iqn: &str) {
    let mut record = fresh(tree, portal, iqn, "default");
    record.set("node.tpgt", "1");
    record.set("node.discovery_type", "send_targets");
    write(tree, &format!("{},1/default", place(portal, iqn)), &record);
}

/// Removes a record and the directories it leaves empty.
pub fn delete(tree: &Tree, file: &str) {
    tree.remove(file);
    let mut directory = file;
    while let Some((parent, _)) = directory.rsplit_once('/') {
        if parent == NODES || !tree.names(parent).is_empty() {
            break;
        }
        tree.remove(parent);
        directory = parent;
    }
}

/// `send_targets/IP,PORT/st_config`
pub fn discovery_place(portal: &str) -> String {
    let (address, port) = split_portal(portal);
    format!("/etc/iscsi/send_targets/{address},{port}/st_config")
}

/// The settings of all records, by file.
pub fn all(tree: &Tree) -> BTreeMap<String, Record> {
    let read = |file: String| tree.read(&file).map(|text| (file, Record::parse(&text)));
    tree.files_below(NODES).into_iter().filter_map(read).collect()
}
