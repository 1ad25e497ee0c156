// SPDX-License-Identifier: Apache-2.0
//! The tree of a host with very many volumes attached, made in one go; nothing in it moves afterwards.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::host::INITIATOR;
use crate::model::{ARRAY, Behind, Disk, Kind, Map, PORT, Session, naa_of};
use crate::tree::Tree;
use crate::{device_mapper, fabric, kernel, nvme, records};

pub struct Shape {
    pub volumes: u32,
    pub portals: Vec<String>,
    pub targets: Vec<String>,
    pub size: u64,
}

pub fn generate(root: &Path, kind: Kind, shape: &Shape) -> io::Result<()> {
    let tree = Tree::new(root);
    kernel::base(&tree)?;
    match kind {
        Kind::Iscsi => iscsi(&tree, root, shape)?,
        Kind::FibreChannel => fibre_channel(&tree, root, shape)?,
        Kind::Nvme => nvme::generate(&tree, root, shape)?,
    }
    tree.finish()
}

/// Volume number V (from 0) is LUN `V / targets + 1` of target `V % targets`, on every portal.
fn iscsi(tree: &Tree, root: &Path, shape: &Shape) -> io::Result<()> {
    let sessions = add_sessions(tree, root, shape)?;
    let targets = shape.targets.len() as u32;
    let paths = |volume: u32| {
        let target = (volume % targets) as usize;
        let lun = u64::from(volume / targets) + 1;
        let behind = sessions[target].iter().cloned().map(Behind::Session).collect();
        (lun, naa_of(&shape.targets[target], lun), behind)
    };
    add_volumes(tree, root, shape, &paths)
}

/// Volume number V (from 0) is LUN `V + 1` of every port of one array; half of the ports are in each of two fabrics.
fn fibre_channel(tree: &Tree, root: &Path, shape: &Shape) -> io::Result<()> {
    let (ports, _) = fabric::add_ports(tree, shape.portals.len() as u32, false)?;
    let paths = |volume: u32| {
        let lun = u64::from(volume) + 1;
        (lun, naa_of(ARRAY, lun), ports.iter().cloned().map(Behind::Port).collect())
    };
    add_volumes(tree, root, shape, &paths)
}

/// The disks and the map of every volume; `paths` gives its LUN, its identity and what it is behind.
fn add_volumes(
    tree: &Tree,
    root: &Path,
    shape: &Shape,
    paths: &dyn Fn(u32) -> (u64, String, Vec<Behind>),
) -> io::Result<()> {
    let mut wwids = String::from(crate::WWIDS_HEAD);
    let mut index = 0;
    for volume in 0..shape.volumes {
        let (lun, naa, all) = paths(volume);
        let mut disks = Vec::new();
        for behind in all {
            let disk = Disk { index, behind, lun, naa: naa.clone(), size: shape.size, diskseq: u64::from(index) + 1 };
            kernel::prepare_disk(tree, &disk, false)?;
            kernel::add_disk(tree, &disk)?;
            disks.push(disk);
            index += 1;
        }
        let names: Vec<String> = disks.iter().map(Disk::name).collect();
        let diskseq = u64::from(u32::MAX) + u64::from(volume);
        let map = Map { index: volume, wwid: format!("3{naa}"), paths: names, size: shape.size, diskseq };
        device_mapper::add_map(tree, &map)?;
        for disk in &disks {
            device_mapper::add_path(tree, &map, disk)?;
        }
        device_mapper::identity_links(tree, &naa, Some(&map.node()))?;
        wwids.push_str(&format!("/{}/\n", map.wwid));
    }
    write(&root.join("etc/multipath/wwids"), &wwids)
}

/// The sessions by target and portal, with their node records.
fn add_sessions(tree: &Tree, root: &Path, shape: &Shape) -> io::Result<Vec<Vec<Session>>> {
    let mut sessions = Vec::new();
    let mut sid = 0;
    for iqn in &shape.targets {
        let mut of_target = Vec::new();
        for address in &shape.portals {
            sid += 1;
            let session =
                Session { sid, host: sid + 1, iqn: iqn.clone(), address: address.clone(), port: PORT, tpgt: 1 };
            kernel::add_session(tree, &session, INITIATOR)?;
            let record = records::new(iqn, address, PORT, "default", None);
            let file = record.path.strip_prefix("/").unwrap_or(&record.path);
            write(&root.join(file), &record.text())?;
            of_target.push(session);
        }
        sessions.push(of_target);
    }
    Ok(sessions)
}

pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(path)?.write_all(text.as_bytes())
}
