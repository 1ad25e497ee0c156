// SPDX-License-Identifier: Apache-2.0
//! The tree of a host with very many volumes attached, made in one go; nothing in it moves afterwards.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::device_mapper;
use crate::host::INITIATOR;
use crate::kernel;
use crate::model::{Disk, Map, PORT, Session, naa_of};
use crate::records;
use crate::tree::Tree;

pub struct Shape {
    pub volumes: u32,
    pub portals: Vec<String>,
    pub targets: Vec<String>,
    pub size: u64,
}

/// Volume number V (from 0) is LUN `V / targets + 1` of target `V % targets`, on every portal.
pub fn generate(root: &Path, shape: &Shape) -> io::Result<()> {
    let tree = Tree::new(root);
    kernel::base(&tree)?;
    let sessions = add_sessions(&tree, root, shape)?;
    let paths = shape.portals.len() as u32;
    let targets = shape.targets.len() as u32;
    let mut wwids = String::from(crate::WWIDS_HEAD);
    for volume in 0..shape.volumes {
        let lun = u64::from(volume / targets) + 1;
        let target = (volume % targets) as usize;
        let naa = naa_of(&shape.targets[target], lun);
        let mut disks = Vec::new();
        for path in 0..paths {
            let index = volume * paths + path;
            let session = sessions[target][path as usize].clone();
            let disk = Disk { index, session, lun, naa: naa.clone(), size: shape.size, diskseq: u64::from(index) + 1 };
            kernel::prepare_disk(&tree, &disk, false)?;
            kernel::add_disk(&tree, &disk)?;
            disks.push(disk);
        }
        let names = disks.iter().map(Disk::name).collect();
        let diskseq = u64::from(shape.volumes * paths + volume) + 1;
        let map = Map { index: volume, wwid: format!("3{naa}"), paths: names, size: shape.size, diskseq };
        device_mapper::add_map(&tree, &map)?;
        for disk in &disks {
            device_mapper::add_path(&tree, &map, disk)?;
        }
        device_mapper::identity_links(&tree, &naa, Some(&map.node()))?;
        wwids.push_str(&format!("/{}/\n", map.wwid));
    }
    write(&root.join("etc/multipath/wwids"), &wwids)?;
    tree.finish()
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

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(path)?.write_all(text.as_bytes())
}
