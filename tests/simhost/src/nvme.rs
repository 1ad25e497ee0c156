// SPDX-License-Identifier: Apache-2.0
//! What NVMe over TCP looks like in sysfs and in /dev with native multipath (drivers/nvme/host of Linux 6.1).
//!
//! Only the writing of the files; when they come and go is decided in `fabrics.rs`. `prepare` makes directories that may
//! still be aside, `show` the names that lead to them.

use std::fs;
use std::io;
use std::path::Path;

use crate::kernel::block_device;
use crate::scale::{Shape, write};
use crate::tree::Tree;

const HOST_ID: &str = "11111111-2222-3333-4444-555555555555";
const CTL: &str = "devices/virtual/nvme-fabrics/ctl";

fn host_nqn() -> String {
    format!("nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}")
}

/// What is there before the first connection.
pub fn base(tree: &Tree, root: &Path) -> io::Result<()> {
    write(&root.join("etc/nvme/hostnqn"), &format!("{}\n", host_nqn()))?;
    write(&root.join("etc/nvme/hostid"), &format!("{HOST_ID}\n"))?;
    for name in ["block", "class/nvme", "class/nvme-subsystem", "class/nvme-fabrics", CTL] {
        tree.directory(name, &[])?;
    }
    tree.directory("devices/virtual/nvme-subsystem", &[])?;
    tree.directory("module/nvme_core/parameters", &[("multipath", "Y")])?;
    tree.link("class/nvme-fabrics/ctl", CTL)
}

/// Volume number V (from 0) is namespace `V / subsystems + 1` of subsystem `V % subsystems`, through a controller for each
/// portal.  Every second subsystem is of an array that gives its namespaces no UUID.
pub fn generate(tree: &Tree, root: &Path, shape: &Shape) -> io::Result<()> {
    base(tree, root)?;
    let (subsystems, portals) = (shape.targets.len() as u32, shape.portals.len() as u32);
    for number in 0..subsystems {
        let subsystem = Subsystem { number, nqn: format!("nqn.2014-08.org.openstack:subsystem-{number:03}") };
        subsystem.prepare(tree)?;
        subsystem.show(tree)?;
        for portal in 0..portals {
            let address = format!("10.{}.0.{}", portal + 1, number + 1);
            let (nqn, subsystem) = (subsystem.nqn.clone(), subsystem.number);
            let controller = Controller { number: number * portals + portal, subsystem, nqn, address, portal };
            controller.prepare(tree, false, false)?;
            controller.show(tree)?;
        }
    }
    for volume in 0..shape.volumes {
        let (subsystem, nsid) = (volume % subsystems, volume / subsystems + 1);
        let namespace = Namespace { volume, subsystem, nsid, size: shape.size, has_uuid: subsystem % 2 == 0 };
        namespace.prepare(tree)?;
        namespace.show(tree)?;
        for portal in 0..portals {
            namespace.add_path(tree, subsystem * portals + portal)?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone)]
pub struct Subsystem {
    pub number: u32,
    pub nqn: String,
}

impl Subsystem {
    pub fn directory(&self) -> String {
        subsystem_directory(self.number)
    }

    fn link(&self) -> String {
        format!("class/nvme-subsystem/nvme-subsys{}", self.number)
    }

    pub fn prepare(&self, tree: &Tree) -> io::Result<()> {
        let attributes = [("iopolicy", "numa"), ("model", "Linux"), ("subsysnqn", &self.nqn), ("subsystype", "nvm")];
        tree.directory(&self.directory(), &attributes)
    }

    pub fn show(&self, tree: &Tree) -> io::Result<()> {
        tree.link(&self.link(), &self.directory())
    }

    pub fn remove(&self, tree: &Tree) {
        tree.unlink(&self.link());
        tree.remove_all(&self.directory());
    }
}

fn subsystem_directory(number: u32) -> String {
    format!("devices/virtual/nvme-subsystem/nvme-subsys{number}")
}

#[derive(Debug, Clone)]
pub struct Controller {
    pub number: u32,
    /// The number of its subsystem, and the name.
    pub subsystem: u32,
    pub nqn: String,
    pub address: String,
    /// Which of the subsystem's portals it is, from 0.
    pub portal: u32,
}

impl Controller {
    pub fn directory(&self) -> String {
        format!("{CTL}/nvme{}", self.number)
    }

    fn links(&self) -> [String; 2] {
        let name = format!("nvme{}", self.number);
        [format!("class/nvme/{name}"), format!("{}/{name}", subsystem_directory(self.subsystem))]
    }

    /// Somebody listens to `rescan_controller` and `delete_controller` if `is_heard`, to the latter as a FIFO if `fifo`.
    pub fn prepare(&self, tree: &Tree, is_heard: bool, fifo: bool) -> io::Result<()> {
        let directory = self.directory();
        let address = format!("traddr={},trsvcid=4420,src_addr=10.{}.0.200", self.address, self.portal + 1);
        tree.directory(
            &directory,
            &[
                ("address", &address),
                ("cntlid", &(self.portal + 1).to_string()),
                ("cntrltype", "io"),
                ("ctrl_loss_tmo", "off"),
                ("hostid", HOST_ID),
                ("hostnqn", &host_nqn()),
                ("model", "Linux"),
                ("queue_count", "3"),
                ("reconnect_delay", "10"),
                ("state", "live"),
                ("subsysnqn", &self.nqn),
                ("transport", "tcp"),
            ],
        )?;
        let controls = [("delete_controller", fifo), ("rescan_controller", is_heard), ("reset_controller", false)];
        controls.iter().try_for_each(|(control, fifo)| tree.control(&format!("{directory}/{control}"), *fifo))
    }

    pub fn show(&self, tree: &Tree) -> io::Result<()> {
        for link in self.links() {
            tree.link(&link, &self.directory())?;
        }
        tree.node(&format!("nvme{}", self.number), 0)
    }

    pub fn remove(&self, tree: &Tree) {
        self.links().iter().for_each(|link| tree.unlink(link));
        let _ = fs::remove_file(tree.dev(&format!("nvme{}", self.number)));
        tree.remove_all(&self.directory());
    }
}

pub struct Namespace {
    pub volume: u32,
    pub subsystem: u32,
    pub nsid: u32,
    pub size: u64,
    pub has_uuid: bool,
}

impl Namespace {
    fn uuid(&self) -> String {
        format!("{:08x}-1111-2222-3333-444444444444", self.volume)
    }

    fn nguid(&self) -> String {
        format!("{:08x}-0000-0000-0000-00000000beef", self.volume)
    }

    fn wwid(&self) -> String {
        if self.has_uuid { format!("uuid.{}", self.uuid()) } else { format!("eui.{}", self.nguid().replace('-', "")) }
    }

    /// What the kernel says of a namespace, below its device and below every path.  In the place of a UUID that is not
    /// there it shows the NGUID.
    fn identity(&self, tree: &Tree, directory: &str) -> io::Result<()> {
        let (nguid, nsid) = (self.nguid(), self.nsid.to_string());
        let uuid = if self.has_uuid { self.uuid() } else { nguid.clone() };
        tree.directory(directory, &[("nguid", &nguid), ("nsid", &nsid), ("uuid", &uuid), ("wwid", &self.wwid())])
    }

    pub fn name(&self) -> String {
        format!("nvme{}n{}", self.subsystem, self.nsid)
    }

    fn directory(&self) -> String {
        format!("{}/{}", subsystem_directory(self.subsystem), self.name())
    }

    fn links(&self) -> [String; 3] {
        let name = self.name();
        [format!("block/{name}"), format!("class/block/{name}"), format!("dev/block/259:{}", self.volume)]
    }

    pub fn prepare(&self, tree: &Tree) -> io::Result<()> {
        let (directory, number) = (self.directory(), format!("259:{}", self.volume));
        block_device(tree, &self.name(), &directory, &number, self.size, u64::from(self.volume) + 1)?;
        self.identity(tree, &directory)?;
        tree.link(&format!("{directory}/device"), &subsystem_directory(self.subsystem))
    }

    pub fn show(&self, tree: &Tree) -> io::Result<()> {
        for link in self.links() {
            tree.link(&link, &self.directory())?;
        }
        tree.node(&self.name(), self.size)?;
        fs::create_dir_all(tree.dev("disk/by-id"))?;
        tree.udev_link("by-id", &format!("nvme-{}", self.wwid()), &self.name())
    }

    pub fn add_path(&self, tree: &Tree, controller: u32) -> io::Result<()> {
        let directory = format!("{CTL}/nvme{controller}/nvme{}c{controller}n{}", self.subsystem, self.nsid);
        self.identity(tree, &directory)?;
        tree.directory(&directory, &[("ana_grpid", "1"), ("ana_state", "optimized"), ("hidden", "1")])
    }

    /// Its directory goes with the subsystem's.
    pub fn remove(&self, tree: &Tree) {
        tree.remove_udev_link("by-id", &format!("nvme-{}", self.wwid()));
        let _ = fs::remove_file(tree.dev(&self.name()));
        self.links().iter().for_each(|link| tree.unlink(link));
    }
}
