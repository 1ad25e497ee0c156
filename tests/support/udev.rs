//! What udev makes of the kernel's news: the links in `/dev/disk`, a little later.

use super::machine::{Disk, Machine, Session, State};

/// There while udev works.
const QUEUE: &str = "/run/udev/queue";

/// udev's path_id: decimal below 256, else the hexadecimal of the 64-bit LUN.
pub fn by_path_lun(lun: u64) -> String {
    if lun < 256 { lun.to_string() } else { format!("0x{:04x}{:04x}00000000", lun & 0xffff, (lun >> 16) & 0xffff) }
}

/// `ip-10.0.0.1:3260-iscsi-IQN-lun-1`
pub fn by_path(session: &Session, lun: u64) -> String {
    let lun = by_path_lun(lun);
    format!("/dev/disk/by-path/ip-{}:{}-iscsi-{}-lun-{lun}", session.address, session.port, session.iqn)
}

/// `scsi-3600...` and `wwn-0x600...`
fn by_id(id: &str) -> [String; 2] {
    [format!("/dev/disk/by-id/scsi-{id}"), format!("/dev/disk/by-id/wwn-0x{}", &id[1..])]
}

impl Machine {
    pub fn udev_adds_disk(&self, state: &mut State, name: &str) {
        let name = name.to_owned();
        let map_delay = state.manners.map_delay;
        state.at_udev.insert(name.clone());
        self.tree.write(QUEUE, "");
        self.later(state.manners.udev_delay, move |machine, state| {
            state.at_udev.remove(&name);
            if state.at_udev.is_empty() {
                machine.tree.remove(QUEUE);
            }
            let Some(disk) = state.disks.get(&name).cloned() else {
                return;
            };
            let node = format!("/dev/{name}");
            if let Some(link) = &disk.by_path {
                machine.tree.link(link, &node);
            }
            if let Some(id) = &disk.seen.udev_id {
                by_id(id)
                    .iter()
                    .filter(|link| !machine.tree.exists(link))
                    .for_each(|link| machine.tree.link(link, &node));
                machine.later(map_delay, move |machine, state| machine.multipathd_sees(state, &name));
            }
        });
    }

    pub fn udev_removes_disk(&self, state: &mut State, name: &str, disk: &Disk) {
        let link = disk.by_path.clone();
        let name = name.to_owned();
        let links_go = state.manners.udev_removes_links;
        self.later(state.manners.udev_delay, move |machine, state| {
            if state.manners.multipathd_forgets && !state.disks.contains_key(&name) {
                machine.multipathd_loses(state, &name);
            }
            if !links_go || state.disks.contains_key(&name) {
                return;
            }
            if let Some(link) = link
                && machine.tree.link_name(&link).as_deref() == Some(&name)
            {
                machine.tree.remove(&link);
            }
            machine.remove_by_id(&name);
        });
    }

    fn remove_by_id(&self, device: &str) {
        for name in self.tree.names("/dev/disk/by-id") {
            let link = format!("/dev/disk/by-id/{name}");
            if self.tree.link_name(&link).as_deref() == Some(device) {
                self.tree.remove(&link);
            }
        }
    }

    /// The links of the paths become the links of the map.
    pub fn udev_adds_map(&self, state: &mut State, device: &str) {
        let device = device.to_owned();
        self.later(state.manners.udev_delay, move |machine, state| {
            let Some(map) = state.maps.get(&device) else {
                return;
            };
            let own = [
                format!("/dev/disk/by-id/dm-uuid-mpath-{}", map.wwid),
                format!("/dev/disk/by-id/dm-name-{}", map.name),
                format!("/dev/mapper/{}", map.name),
            ];
            by_id(&map.wwid).iter().chain(&own).for_each(|link| machine.tree.link(link, &format!("/dev/{device}")));
        });
    }

    pub fn udev_removes_map(&self, state: &State, device: &str) {
        if state.manners.udev_removes_links {
            self.remove_by_id(device);
        }
    }
}
