//! Fibre Channel as the kernel shows it: ports of this host, ports of arrays, and what a scan of them brings
//! (drivers/scsi/scsi_transport_fc.c); on IBM Z also ports and units of zfcp (drivers/s390/scsi/zfcp_sysfs.c).

use std::collections::{BTreeMap, BTreeSet};

use super::fake_host::FakeHost;
use super::machine::{Disk, Machine, State};
use super::storage::Volume;
use super::udev::by_path_lun;

/// A port of this host.
#[derive(Debug, Clone)]
pub struct HostPort {
    pub wwpn: String,
    /// `/sys/devices/.../hostN`
    pub directory: String,
    /// What udev puts before `fc-` in its names.
    pub prefix: String,
    /// The bus id of a zfcp adapter.
    pub zfcp: Option<String>,
}

/// A port of an array as a port of this host knows it.
#[derive(Debug, Clone)]
pub struct RemotePort {
    pub host: u32,
    pub number: u32,
    pub id: u32,
    pub wwpn: String,
    pub state: String,
}

impl RemotePort {
    fn name(&self) -> String {
        format!("rport-{}:0-{}", self.host, self.number)
    }
}

#[derive(Debug, Default)]
pub struct Fabric {
    pub hosts: BTreeMap<u32, HostPort>,
    pub ports: Vec<RemotePort>,
    /// Units of zfcp: adapter, port, LUN.
    pub units: BTreeSet<(String, String, u64)>,
}

/// The kernel's number of the address zfcp is given.
fn lun_of_address(address: &str) -> u64 {
    let number = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address is hexadecimal");
    (number >> 48) | ((number >> 32 & 0xffff) << 16)
}

impl Machine {
    fn port_directory(&self, state: &State, port: &RemotePort) -> String {
        format!("{}/{}", state.fabric.hosts[&port.host].directory, port.name())
    }

    /// `channel target lun`, each a number or `-`: ports that are not online are passed over, as by the kernel.
    pub fn scan_fabric(&self, state: &mut State, host: u32, what: &str) {
        let [channel, target, lun] = what.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a scan names channel, target and LUN, not {what:?}");
        };
        let lun: u64 = lun.parse().expect("a scan for every LUN brings in disks of other volumes");
        let scanned = |port: &&RemotePort| {
            port.host == host
                && port.state == "Online"
                && matches!(channel, "0" | "-")
                && (target == "-" || target == port.id.to_string())
        };
        let ports: Vec<RemotePort> = state.fabric.ports.iter().filter(scanned).cloned().collect();
        let delay = state.manners.disk_delay;
        self.later(delay, move |machine, state| {
            ports.iter().for_each(|port| drop(machine.add_fabric_disk(state, port, lun)));
        });
    }

    /// A LUN becomes a disk; with zfcp only when it is a unit.
    pub fn add_fabric_disk(&self, state: &mut State, port: &RemotePort, lun: u64) -> Option<String> {
        let seen = state.storage.fc_luns.get(&(port.wwpn.clone(), lun)).cloned()?;
        let host = state.fabric.hosts[&port.host].clone();
        if let Some(adapter) = &host.zfcp
            && !state.fabric.units.contains(&(adapter.clone(), port.wwpn.clone(), lun))
        {
            return None;
        }
        let hctl = format!("{}:0:{}:{lun}", port.host, port.id);
        if state.disks.values().any(|disk| disk.hctl == hctl) {
            return None;
        }
        let target = format!("target{}:0:{}", port.host, port.id);
        let of_target = format!("{}/{target}", self.port_directory(state, port));
        let port_name = format!("0x{}", port.wwpn);
        self.class_device(&of_target, "fc_transport", &target, &[("port_name", &port_name)]);
        let directory = format!("{of_target}/{hctl}");
        let by_path = format!("/dev/disk/by-path/{}fc-{port_name}-lun-{}", host.prefix, by_path_lun(lun));
        let port = Some(port.wwpn.clone());
        self.add_scsi_disk(state, Disk { sid: 0, port, hctl, lun, directory, by_path: Some(by_path), seen })
    }

    /// A target goes with its last device.
    pub fn fabric_loses_disk(&self, state: &State, disk: &Disk) {
        let Some((target, _)) = disk.hctl.rsplit_once(':') else { return };
        let same = |other: &Disk| other.hctl.rsplit_once(':').is_some_and(|(of_other, _)| of_other == target);
        if disk.port.is_some() && !state.disks.values().any(same) {
            self.tree.remove(&format!("/sys/class/fc_transport/target{target}"));
            if let Some((of_target, _)) = disk.directory.rsplit_once('/') {
                self.tree.remove(of_target);
            }
        }
    }

    pub fn set_port_state(&self, state: &mut State, host: u32, wwpn: &str, text: &str) {
        let found = state.fabric.ports.iter_mut().find(|port| port.host == host && port.wwpn == wwpn);
        let port = found.expect("a port of this test");
        text.clone_into(&mut port.state);
        let name = port.name();
        self.tree.write(&format!("/sys/class/fc_remote_ports/{name}/port_state"), format!("{text}\n"));
    }

    /// What is written below `/sys/bus/ccw/drivers/zfcp/ADAPTER`; false when the driver refuses.
    pub fn zfcp_works(&self, state: &mut State, adapter: &str, rest: &[&str], content: &str) -> bool {
        let driver = format!("/sys/bus/ccw/drivers/zfcp/{adapter}");
        let host = state.fabric.hosts.iter().find(|(_, host)| host.zfcp.as_deref() == Some(adapter)).map(|(n, _)| *n);
        let host = host.expect("an adapter of this test");
        match rest {
            ["port_rescan"] => {
                let ports = state.fabric.ports.iter().filter(|port| port.host == host);
                ports.for_each(|port| self.zfcp_port(&driver, &port.wwpn));
                true
            }
            [port, "unit_add"] => {
                let wwpn = port.trim_start_matches("0x").to_owned();
                let lun = lun_of_address(content);
                if !state.fabric.units.insert((adapter.to_owned(), wwpn.clone(), lun)) {
                    return false;
                }
                self.tree.directory(&format!("{driver}/{port}/{content}"));
                self.scan_fabric(state, host, &format!("- - {lun}"));
                true
            }
            [port, "unit_remove"] => {
                let wwpn = port.trim_start_matches("0x").to_owned();
                let lun = lun_of_address(content);
                self.tree.remove(&format!("{driver}/{port}/{content}"));
                state.fabric.units.remove(&(adapter.to_owned(), wwpn, lun))
            }
            _ => panic!("zfcp has no {rest:?}"),
        }
    }

    fn zfcp_port(&self, driver: &str, wwpn: &str) {
        for attribute in ["unit_add", "unit_remove"] {
            self.tree.write(&format!("{driver}/0x{wwpn}/{attribute}"), "");
        }
    }
}

impl FakeHost {
    /// A port of this host on a PCI adapter.
    pub fn fc_host(&self, wwpn: &str) -> u32 {
        let slot = self.machine.state().next_host;
        let device = format!("0000:05:00.{slot}");
        self.fc_host_at(&format!("/sys/devices/pci0000:00/0000:00:03.0/{device}"), &format!("pci-{device}-"), wwpn)
    }

    /// A port of this host on the device at a path, and the prefix of udev's names for what is behind it.
    pub fn fc_host_at(&self, device: &str, prefix: &str, wwpn: &str) -> u32 {
        let mut state = self.machine.state();
        let number = state.next_host;
        state.next_host += 1;
        let name = format!("host{number}");
        let directory = format!("{device}/{name}");
        self.machine.class_device(&directory, "scsi_host", &name, &[("proc_name", "lpfc"), ("scan", "")]);
        let (port, node) = (format!("0x{wwpn}"), format!("0x2{}", &wwpn[1..]));
        let attributes = [("port_name", port.as_str()), ("node_name", &node), ("port_state", "Online")];
        self.machine.class_device(&directory, "fc_host", &name, &attributes);
        let zfcp = device.starts_with("/sys/devices/css").then(|| device.rsplit('/').next().unwrap_or("").to_owned());
        if let Some(adapter) = &zfcp {
            self.tree().write(&format!("/sys/bus/ccw/drivers/zfcp/{adapter}/port_rescan"), "");
        }
        let host = HostPort { wwpn: wwpn.to_owned(), directory, prefix: prefix.to_owned(), zfcp };
        state.fabric.hosts.insert(number, host);
        number
    }

    pub fn fc_host_state(&self, host: u32, text: &str) {
        self.tree().write(&format!("/sys/class/fc_host/host{host}/port_state"), format!("{text}\n"));
    }

    /// A port of an array that a port of this host has met, under the next target number.
    pub fn fc_port(&self, host: u32, wwpn: &str) -> u32 {
        let mut state = self.machine.state();
        let number = u32::try_from(state.fabric.ports.iter().filter(|port| port.host == host).count()).expect("few");
        let port = RemotePort { host, number, id: number, wwpn: wwpn.to_owned(), state: "Online".to_owned() };
        let (name, directory) = (port.name(), self.machine.port_directory(&state, &port));
        let (port_name, id) = (format!("0x{wwpn}"), number.to_string());
        let attributes = [
            ("port_name", port_name.as_str()),
            ("port_state", "Online"),
            ("roles", "FCP Target"),
            ("scsi_target_id", id.as_str()),
        ];
        self.machine.class_device(&directory, "fc_remote_ports", &name, &attributes);
        state.fabric.ports.push(port);
        number
    }

    pub fn fc_port_state(&self, host: u32, wwpn: &str, text: &str) {
        let mut state = self.machine.state();
        self.machine.set_port_state(&mut state, host, wwpn, text);
    }

    /// From now on the LUN of a port maps this volume; what the host knows of it stays as it is.
    pub fn fc_map<S: AsRef<str>>(&self, ports: &[S], lun: u64, volume: &Volume) {
        let mut state = self.machine.state();
        for port in ports {
            state.storage.fc_luns.insert((port.as_ref().to_owned(), lun), volume.clone());
        }
    }

    /// What a scan by the kernel itself brings, complete with links and map.
    pub fn fc_scan_in(&self, host: u32, wwpn: &str, lun: u64) -> String {
        let name = {
            let mut state = self.machine.state();
            let port = state.fabric.ports.iter().find(|port| port.host == host && port.wwpn == wwpn).cloned();
            let port = port.expect("a port of this test");
            self.machine.add_fabric_disk(&mut state, &port, lun).expect("the LUN maps a volume and is not a disk yet")
        };
        self.settle();
        name
    }

    /// The disk at an address `H:C:T:L`.
    pub fn disk_at(&self, hctl: &str) -> Option<String> {
        let state = self.machine.state();
        state.disks.iter().find(|(_, disk)| disk.hctl == hctl).map(|(name, _)| name.clone())
    }

    /// Reading the disk fails from now on.
    pub fn break_disk(&self, name: &str) {
        let node = format!("/dev/{name}");
        self.tree().remove(&node);
        self.tree().directory(&node);
    }
}
