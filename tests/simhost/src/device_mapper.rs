// SPDX-License-Identifier: Apache-2.0
//! What a multipath map looks like in sysfs and in /dev, and udev's links by identity, which move between map and path.
//!
//! Only the writing of the files; when they come and go is decided in `host.rs`.

use std::fs;
use std::io;

use crate::kernel::block_device;
use crate::model::{Disk, Map};
use crate::tree::Tree;

fn map_links(map: &Map) -> [String; 3] {
    let node = map.node();
    [format!("block/{node}"), format!("class/block/{node}"), format!("dev/block/254:{}", map.index)]
}

/// A map without paths yet, with its node and udev's links.
pub fn add_map(tree: &Tree, map: &Map) -> io::Result<()> {
    let node = map.node();
    let directory = format!("devices/virtual/block/{node}");
    block_device(tree, &node, &directory, &format!("254:{}", map.index), map.size, map.diskseq)?;
    for link in map_links(map) {
        tree.link(&link, &directory)?;
    }
    tree.directory(
        &format!("{directory}/dm"),
        &[
            ("name", &map.wwid),
            ("rq_based_seq_io_merge_deadline", "0"),
            ("suspended", "0"),
            ("use_blk_mq", "1"),
            ("uuid", &format!("mpath-{}", map.wwid)),
        ],
    )?;
    tree.node(&node, map.size)?;
    std::os::unix::fs::symlink(format!("../{node}"), tree.dev("mapper").join(&map.wwid))?;
    tree.udev_link("by-id", &format!("dm-uuid-mpath-{}", map.wwid), &node)?;
    tree.udev_link("by-id", &format!("dm-name-{}", map.wwid), &node)
}

pub fn add_path(tree: &Tree, map: &Map, disk: &Disk) -> io::Result<()> {
    let directory = format!("devices/virtual/block/{}", map.node());
    tree.link(&format!("{directory}/slaves/{}", disk.name()), &disk.block_directory())?;
    tree.link(&format!("{}/holders/{}", disk.block_directory(), map.node()), &directory)
}

pub fn remove_path(tree: &Tree, map: &Map, disk: &Disk) {
    tree.unlink(&format!("devices/virtual/block/{}/slaves/{}", map.node(), disk.name()));
    tree.unlink(&format!("{}/holders/{}", disk.block_directory(), map.node()));
}

/// The map's paths must be out of it already.
pub fn remove_map(tree: &Tree, map: &Map) {
    let node = map.node();
    for name in [format!("dm-uuid-mpath-{}", map.wwid), format!("dm-name-{}", map.wwid)] {
        tree.remove_udev_link("by-id", &name);
    }
    let _ = fs::remove_file(tree.dev("mapper").join(&map.wwid));
    let _ = fs::remove_file(tree.dev(&node));
    for link in map_links(map) {
        tree.unlink(&link);
    }
    tree.remove_all(&format!("devices/virtual/block/{node}"));
}

/// The links by identity point to the map when there is one, else to a path, else they go.
pub fn identity_links(tree: &Tree, naa: &str, node: Option<&str>) -> io::Result<()> {
    for name in [format!("scsi-3{naa}"), format!("wwn-0x{naa}")] {
        match node {
            Some(node) => tree.udev_link("by-id", &name, node)?,
            None => tree.remove_udev_link("by-id", &name),
        }
    }
    Ok(())
}
