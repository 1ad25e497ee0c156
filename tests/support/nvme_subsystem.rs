//! What the kernel shows of a subsystem: a directory with a link to each of its controllers.

use super::machine::Machine;
use super::nvme::CTL;

const DEVICES: &str = "/sys/devices/virtual/nvme-subsystem";
const CLASS: &str = "/sys/class/nvme-subsystem";

pub fn directory(number: &str) -> String {
    format!("{DEVICES}/nvme-subsys{number}")
}

impl Machine {
    pub fn join_subsystem(&self, subsystem: usize, nqn: &str, controller: u32) {
        let directory = directory(&subsystem.to_string());
        self.tree.write(&format!("{directory}/subsysnqn"), format!("{nqn}\n"));
        self.tree.link(&format!("{directory}/nvme{controller}"), &format!("{CTL}/nvme{controller}"));
        self.tree.link(&format!("{CLASS}/nvme-subsys{subsystem}"), &directory);
    }

    /// A subsystem goes with its last controller.
    pub fn leave_subsystem(&self, controller: u32) {
        for name in self.tree.names(DEVICES) {
            self.tree.remove(&format!("{DEVICES}/{name}/nvme{controller}"));
            if self.tree.names(&format!("{DEVICES}/{name}")) == ["subsysnqn"] {
                self.tree.remove(&format!("{CLASS}/{name}"));
                self.tree.remove(&format!("{DEVICES}/{name}"));
            }
        }
    }
}
