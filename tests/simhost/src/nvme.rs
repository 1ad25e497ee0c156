// SPDX-License-Identifier: Apache-2.0
//! What NVMe over TCP looks like in sysfs and in /dev with native multipath (drivers/nvme/host of Linux 6.1).

use std::fs;
use std::io;
use std::path::Path;

use crate::kernel::block_device;
use crate::scale::{Shape, write};
use crate::tree::Tree;

const HOST_ID: &str = "11111111-2222-3333-4444-555555555555";
const CTL: &str = "devices/virtual/nvme-fabrics/ctl";

/// Volume number V (from 0) is namespace `V / subsystems + 1` of subsystem `V % subsystems`, through a controller for each
/// portal.  Every second subsystem is of an array that gives its namespaces no UUID.
pub fn generate(tree: &Tree, root: &Path, shape: &Shape) -> io::Result<()> {
    let host = format!("nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}");
    write(&root.join("etc/nvme/hostnqn"), &format!("{host}\n"))?;
    write(&root.join("etc/nvme/hostid"), &format!("{HOST_ID}\n"))?;
    for name in ["block", "class/nvme", "class/nvme-subsystem", "class/nvme-fabrics", CTL] {
        tree.directory(name, &[])?;
    }
    tree.directory("module/nvme_core/parameters", &[("multipath", "Y")])?;
    tree.link("class/nvme-fabrics/ctl", CTL)?;
    let (subsystems, portals) = (shape.targets.len() as u32, shape.portals.len() as u32);
    for subsystem in 0..subsystems {
        add_subsystem(tree, subsystem)?;
        for portal in 0..portals {
            add_controller(tree, subsystem, portal, subsystem * portals + portal, &host)?;
        }
    }
    for volume in 0..shape.volumes {
        let (subsystem, nsid) = (volume % subsystems, volume / subsystems + 1);
        let namespace = Namespace { volume, subsystem, nsid, size: shape.size };
        namespace.add_device(tree)?;
        for portal in 0..portals {
            namespace.add_path(tree, subsystem * portals + portal)?;
        }
    }
    Ok(())
}

fn subsystem_directory(subsystem: u32) -> String {
    format!("devices/virtual/nvme-subsystem/nvme-subsys{subsystem}")
}

fn nqn(subsystem: u32) -> String {
    format!("nqn.2014-08.org.openstack:subsystem-{subsystem:03}")
}

fn add_subsystem(tree: &Tree, subsystem: u32) -> io::Result<()> {
    let directory = subsystem_directory(subsystem);
    let attributes = [("iopolicy", "numa"), ("model", "Linux"), ("subsysnqn", &nqn(subsystem)), ("subsystype", "nvm")];
    tree.directory(&directory, &attributes)?;
    tree.link(&format!("class/nvme-subsystem/nvme-subsys{subsystem}"), &directory)
}

fn add_controller(tree: &Tree, subsystem: u32, portal: u32, number: u32, host: &str) -> io::Result<()> {
    let directory = format!("{CTL}/nvme{number}");
    let address = format!("traddr=10.{}.0.{},trsvcid=4420,src_addr=10.{}.0.200", portal + 1, subsystem + 1, portal + 1);
    tree.directory(
        &directory,
        &[
            ("address", &address),
            ("cntlid", &(portal + 1).to_string()),
            ("cntrltype", "io"),
            ("ctrl_loss_tmo", "off"),
            ("hostid", HOST_ID),
            ("hostnqn", host),
            ("model", "Linux"),
            ("queue_count", "3"),
            ("reconnect_delay", "10"),
            ("state", "live"),
            ("subsysnqn", &nqn(subsystem)),
            ("transport", "tcp"),
        ],
    )?;
    for control in ["delete_controller", "rescan_controller", "reset_controller"] {
        tree.control(&format!("{directory}/{control}"), false)?;
    }
    tree.link(&format!("class/nvme/nvme{number}"), &directory)?;
    tree.link(&format!("{}/nvme{number}", subsystem_directory(subsystem)), &directory)?;
    tree.node(&format!("nvme{number}"), 0)
}

struct Namespace {
    volume: u32,
    subsystem: u32,
    nsid: u32,
    size: u64,
}

impl Namespace {
    fn uuid(&self) -> String {
        format!("{:08x}-1111-2222-3333-444444444444", self.volume)
    }

    fn nguid(&self) -> String {
        format!("{:08x}-0000-0000-0000-00000000beef", self.volume)
    }

    fn has_uuid(&self) -> bool {
        self.subsystem % 2 == 0
    }

    fn wwid(&self) -> String {
        if self.has_uuid() { format!("uuid.{}", self.uuid()) } else { format!("eui.{}", self.nguid().replace('-', "")) }
    }

    /// What the kernel says of a namespace, below its device and below every path.  In the place of a UUID that is not
    /// there it shows the NGUID.
    fn identity(&self, tree: &Tree, directory: &str) -> io::Result<()> {
        let (nguid, nsid) = (self.nguid(), self.nsid.to_string());
        let uuid = if self.has_uuid() { self.uuid() } else { nguid.clone() };
        tree.directory(directory, &[("nguid", &nguid), ("nsid", &nsid), ("uuid", &uuid), ("wwid", &self.wwid())])
    }

    fn name(&self) -> String {
        format!("nvme{}n{}", self.subsystem, self.nsid)
    }

    fn add_device(&self, tree: &Tree) -> io::Result<()> {
        let name = self.name();
        let directory = format!("{}/{name}", subsystem_directory(self.subsystem));
        block_device(tree, &name, &directory, &format!("259:{}", self.volume), self.size, u64::from(self.volume) + 1)?;
        self.identity(tree, &directory)?;
        tree.link(&format!("{directory}/device"), &subsystem_directory(self.subsystem))?;
        for link in [format!("block/{name}"), format!("class/block/{name}"), format!("dev/block/259:{}", self.volume)] {
            tree.link(&link, &directory)?;
        }
        tree.node(&name, self.size)?;
        fs::create_dir_all(tree.dev("disk/by-id"))?;
        tree.udev_link("by-id", &format!("nvme-{}", self.wwid()), &name)
    }

    fn add_path(&self, tree: &Tree, controller: u32) -> io::Result<()> {
        let directory = format!("{CTL}/nvme{controller}/nvme{}c{controller}n{}", self.subsystem, self.nsid);
        self.identity(tree, &directory)?;
        tree.directory(&directory, &[("ana_grpid", "1"), ("ana_state", "optimized"), ("hidden", "1")])
    }
}
