//! SCSI devices the kernel has found and not named a disk for yet.

use std::time::Duration;

use super::FakeHost;
use super::machine::{Disk, Machine, State};

impl Machine {
    /// What a scan brings before sd.c has looked at it.
    pub fn add_nameless(&self, state: &mut State, disk: Disk) {
        self.add_scsi_device(&disk);
        state.nameless.insert(disk.hctl.clone(), disk);
    }

    /// The SCSI device below a disk.
    pub fn add_scsi_device(&self, disk: &Disk) {
        for (attribute, value) in [("state", "running\n"), ("type", "0\n"), ("delete", ""), ("rescan", "")] {
            self.tree.write(&format!("{}/{attribute}", disk.directory), value);
        }
        self.tree.link(&format!("/sys/bus/scsi/devices/{}", disk.hctl), &disk.directory);
    }

    /// The probes end: every device gets its disk, now and from now on.
    pub fn name_disks(&self, state: &mut State) {
        state.manners.names_disks = true;
        for (_, disk) in std::mem::take(&mut state.nameless) {
            self.add_scsi_disk(state, disk);
        }
    }

    /// `echo 1 > /sys/bus/scsi/devices/H:C:T:L/delete`
    pub fn remove_device(&self, state: &mut State, hctl: &str) {
        if let Some(disk) = state.nameless.remove(hctl) {
            self.tree.remove(&format!("/sys/bus/scsi/devices/{hctl}"));
            self.tree.remove(&disk.directory);
            self.fabric_loses_disk(state, &disk);
        } else if let Some(name) = state.disks.iter().find(|(_, disk)| disk.hctl == hctl).map(|(name, _)| name.clone())
        {
            self.remove_disk(state, &name);
        }
    }
}

impl FakeHost {
    /// A scan of a session, when the kernel does not name disks.
    pub fn scan_in_nameless(&self, portal: &str, iqn: &str, lun: u64) {
        let mut state = self.machine.state();
        let sid = state.sessions_of(portal, iqn)[0].sid;
        assert_eq!(self.machine.add_disk(&mut state, sid, lun), None);
    }

    /// The same of a remote port.
    pub fn fc_scan_in_nameless(&self, host: u32, wwpn: &str, lun: u64) {
        let mut state = self.machine.state();
        let port = state.fabric.ports.iter().find(|port| port.host == host && port.wwpn == wwpn).cloned();
        assert_eq!(self.machine.add_fabric_disk(&mut state, &port.expect("a port of this test"), lun), None);
    }

    /// The kernel goes on, and names the disks it has found.
    pub fn name_disks(&self) {
        self.machine.name_disks(&mut self.machine.state());
    }

    pub fn name_disks_later(&self, after: Duration) {
        self.machine.state().manners.names_disks = true;
        self.machine.later(after, |machine, state| machine.name_disks(state));
    }
}
