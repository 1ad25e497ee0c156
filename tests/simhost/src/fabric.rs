// SPDX-License-Identifier: Apache-2.0
//! What Fibre Channel ports look like in sysfs: those of this host and those of an array (drivers/scsi/scsi_transport_fc.c
//! of Linux 6.1).

use std::io;
use std::path::PathBuf;

use crate::kernel::class_device;
use crate::model::{Port, adapter_directory};
use crate::tree::Tree;

/// The ports of this host, one in each fabric.
const HOSTS: [u32; 2] = [2, 3];
/// The array.
const NODE: &str = "0x50060160bee00000";

/// The ports of this host with the paths of their `scan`, and so many of an array, which each see one of them.
pub fn add_ports(tree: &Tree, count: u32, fifos: bool) -> io::Result<(Vec<Port>, Vec<(u32, PathBuf)>)> {
    for class in ["fc_host", "fc_remote_ports", "fc_transport"] {
        tree.directory(&format!("class/{class}"), &[])?;
    }
    let mut scans = Vec::new();
    for host in HOSTS {
        scans.push((host, add_host(tree, host, fifos)?));
    }
    let ports = ports(count);
    for port in &ports {
        add_port(tree, port)?;
    }
    Ok((ports, scans))
}

pub fn ports(count: u32) -> Vec<Port> {
    let port = |number: u32| Port {
        host: HOSTS[number as usize % HOSTS.len()],
        id: number / HOSTS.len() as u32,
        wwpn: format!("500601603ee0{number:04x}"),
    };
    (0..count).map(port).collect()
}

fn add_host(tree: &Tree, host: u32, fifos: bool) -> io::Result<PathBuf> {
    let directory = adapter_directory(host);
    let name = format!("host{host}");
    tree.directory(&directory, &[("uevent", "DEVTYPE=scsi_host")])?;
    tree.link(&format!("{directory}/subsystem"), "bus/scsi")?;
    tree.link(&format!("bus/scsi/devices/{name}"), &directory)?;
    let scsi_host = class_device(tree, &directory, "scsi_host", &name, &[("proc_name", "lpfc"), ("state", "running")])?;
    let scan = format!("{scsi_host}/scan");
    tree.control(&scan, fifos)?;
    class_device(
        tree,
        &directory,
        "fc_host",
        &name,
        &[
            ("fabric_name", "0x100000051e0f7d2c"),
            ("node_name", &format!("0x20000090fa00000{host}")),
            ("port_id", "0x010500"),
            ("port_name", &format!("0x10000090fa00000{host}")),
            ("port_state", "Online"),
            ("port_type", "NPort (fabric via point-to-point)"),
            ("speed", "16 Gbit"),
        ],
    )?;
    Ok(tree.sys(&scan))
}

/// A port of the array.
fn add_port(tree: &Tree, port: &Port) -> io::Result<()> {
    let (directory, wwpn) = (port.directory(), format!("0x{}", port.wwpn));
    tree.directory(&directory, &[("uevent", "")])?;
    let id = port.id.to_string();
    class_device(
        tree,
        &directory,
        "fc_remote_ports",
        &port.name(),
        &[
            ("dev_loss_tmo", "30"),
            ("fast_io_fail_tmo", "5"),
            ("node_name", NODE),
            ("port_id", "0x010600"),
            ("port_name", &wwpn),
            ("port_state", "Online"),
            ("roles", "FCP Target"),
            ("scsi_target_id", &id),
        ],
    )?;
    Ok(())
}

/// The SCSI target behind a port has its first device.
pub fn add_target(tree: &Tree, port: &Port, name: &str, directory: &str) -> io::Result<()> {
    let attributes = [("node_name", NODE), ("port_name", &format!("0x{}", port.wwpn))];
    class_device(tree, directory, "fc_transport", name, &attributes).map(drop)
}
