//! The node records of open-iscsi (`iscsiadm(8)`, FILES): where they are and what they say.
//!
//! A record made by `--op new` is the file `nodes/IQN/IP,PORT`; one made by discovery is `nodes/IQN/IP,PORT,TPGT/IFACE`.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::{Iqn, Portal};

/// Where distributions keep the database: Debian and upstream, then Fedora and SUSE.
pub const HOMES: [&str; 2] = ["/etc/iscsi/nodes", "/var/lib/iscsi/nodes"];

/// One record, by its place on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    pub portal: Portal,
    /// `/etc/iscsi/nodes/IQN/IP,PORT[,TPGT]`
    pub place: PathBuf,
    /// The files with the settings: the place itself, or one for each interface below it.
    pub files: Vec<PathBuf>,
}

impl NodeRecord {
    /// Whether discovery made it: then iscsiadm keeps links to it elsewhere, and iscsiadm must delete it.
    pub fn is_from_discovery(&self) -> bool {
        self.files.first() != Some(&self.place)
    }

    /// Whether an attach made or changed it: what one sets in every record it uses, in each of its files.
    pub fn is_of_attach(&self, root: &Root) -> bool {
        !self.files.is_empty() && self.files.iter().all(|file| is_of_attach(root, file))
    }
}

/// The records of a target.
pub fn of_target(root: &Root, iqn: &Iqn) -> Vec<NodeRecord> {
    HOMES.iter().flat_map(|home| in_directory(root, &Path::new(home).join(iqn.as_str()))).collect()
}

/// Every record of the host with its target's name; none for whoever may not read the database.
pub fn all(root: &Root) -> Vec<(String, NodeRecord)> {
    let targets = HOMES.iter().flat_map(|home| {
        attribute::names(&root.path(home)).into_iter().map(|name| (Path::new(home).join(&name), name))
    });
    targets
        .flat_map(|(place, name)| in_directory(root, &place).into_iter().map(move |record| (name.clone(), record)))
        .collect()
}

/// The records of one portal of a target.
pub fn of_portal(root: &Root, portal: &Portal, iqn: &Iqn) -> Vec<NodeRecord> {
    of_target(root, iqn).into_iter().filter(|record| record.portal == *portal).collect()
}

fn in_directory(root: &Root, directory: &Path) -> Vec<NodeRecord> {
    attribute::names(&root.path(directory))
        .into_iter()
        .filter_map(|name| {
            let mut parts = name.split(',');
            let portal = Portal::from_parts(parts.next()?, parts.next()?)?;
            let place = directory.join(&name);
            let below = root.path(&place);
            let files = if attribute::is_dir(&below) {
                attribute::names(&below).into_iter().map(|iface| place.join(iface)).collect()
            } else {
                vec![place.clone()]
            };
            Some(NodeRecord { portal, place, files })
        })
        .collect()
}

/// Whether one file has what an attach sets.
pub fn is_of_attach(root: &Root, file: &Path) -> bool {
    read(root, file).ok().flatten().is_some_and(|text| says_attach(&text))
}

/// The same of a record's text.
pub fn says_attach(text: &str) -> bool {
    let is = |key: &str, value: &str| setting(text, key) == Some(value);
    is("node.session.scan", "manual") && is("node.startup", "automatic")
}

/// The text of one record file; it holds secrets.
pub fn read(root: &Root, file: &Path) -> Result<Option<String>> {
    attribute::read(&root.path(file))
}

/// The value of one setting in a record's text: `node.startup = manual`.
pub fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The text with some settings changed, those not there yet added before the record's end.
pub fn with_settings(text: &str, settings: &[(&str, &str)]) -> String {
    let mut missing: Vec<&(&str, &str)> = settings.iter().collect();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        match settings.iter().find(|(key, _)| Some(*key) == name) {
            Some((key, value)) => {
                missing.retain(|(other, _)| other != key);
                lines.push(format!("{key} = {value}"));
            }
            None => lines.push(line.to_owned()),
        }
    }
    let end = lines.iter().position(|line| line.starts_with("# END RECORD")).unwrap_or(lines.len());
    for (key, value) in missing.into_iter().rev() {
        lines.insert(end, format!("{key} = {value}"));
    }
    lines.join("\n") + "\n"
}
