//! Mirrors on the pretend machine: `mdadm`, `blkid -p`, and what they do to `/sys/block` and `/dev/md`.

use super::machine::{Machine, State};
use super::nvme::Namespace;

/// What a leg holds that was made into one of the array of this name.
fn metadata(name: &str) -> String {
    format!("linux_raid_member {name}")
}

fn short(path: &str) -> String {
    path.trim_start_matches("/dev/").to_owned()
}

impl State {
    /// The namespace of the storage behind a device.
    fn namespace_of(&mut self, device: &str) -> Option<&mut Namespace> {
        let keys: Vec<(String, u32)> = self.nvme.heads.keys().cloned().collect();
        let (nqn, nsid) = keys.into_iter().find(|(nqn, nsid)| self.nvme.device(nqn, *nsid) == device)?;
        self.nvme.subsystems.get_mut(&nqn)?.namespaces.get_mut(&nsid)
    }

    pub fn holds(&mut self, device: &str) -> Option<String> {
        self.namespace_of(device)?.holds.clone()
    }

    /// The md device of a name or a device.
    fn array(&self, path: &str) -> Option<String> {
        let name = short(path);
        let named = |device: &&String| **device == name || path == format!("/dev/md/{}", self.nvme.arrays[*device].0);
        self.nvme.arrays.keys().find(named).cloned()
    }
}

impl Machine {
    pub fn mdadm(&self, state: &mut State, args: &[&str]) -> (i32, String) {
        match args {
            ["--examine", leg] => match state.holds(&short(leg)) {
                Some(holds) if holds.starts_with("linux_raid_member") => (0, format!("{leg}:\n   Magic : a92b4efc\n")),
                _ => (1, String::new()),
            },
            ["-C", name, "-R", "-N", _, "--level", "1", count, rest @ ..] => {
                let legs: Vec<String> =
                    rest.iter().filter(|arg| arg.starts_with("/dev/")).map(|leg| short(leg)).collect();
                assert_eq!(*count, format!("--raid-devices={}", legs.len()));
                for leg in &legs {
                    state.namespace_of(leg).expect("a leg is a namespace").holds = Some(metadata(name));
                }
                self.add_array(state, "md127", name, &legs);
                (0, String::new())
            }
            ["--assemble", "--run", path, legs @ ..] => {
                let legs: Vec<String> = legs.iter().filter(|leg| **leg != "-o").map(|leg| short(leg)).collect();
                let name = path.trim_start_matches("/dev/md/").to_owned();
                if legs.iter().any(|leg| state.holds(leg) != Some(metadata(&name))) {
                    return (1, String::new());
                }
                self.add_array(state, "md126", &name, &legs);
                (0, String::new())
            }
            ["--stop", path] => match state.array(path) {
                Some(array) => {
                    self.remove_array(state, &array);
                    (0, String::new())
                }
                None => (1, String::new()),
            },
            ["--grow", "--size", "max", path] => match state.array(path) {
                Some(array) => {
                    self.size_array(state, &array);
                    (0, String::new())
                }
                None => (1, String::new()),
            },
            _ => panic!("mdadm has no {args:?}"),
        }
    }

    pub fn blkid(&self, state: &mut State, args: &[&str]) -> (i32, String) {
        let device = args.last().expect("a device is named");
        match state.holds(&short(device)) {
            Some(holds) => (0, format!("{holds}\n")),
            None => (2, String::new()),
        }
    }

    /// An array in the kernel, with its name as udev gives it.
    pub fn add_array(&self, state: &mut State, device: &str, name: &str, legs: &[String]) {
        let directory = format!("/sys/devices/virtual/block/{device}");
        self.tree.write(&format!("{directory}/md/array_state"), "clean\n");
        self.tree.directory(&format!("{directory}/slaves"));
        self.tree.directory(&format!("{directory}/holders"));
        self.tree.link(&format!("/sys/block/{device}"), &directory);
        self.tree.write(&format!("/dev/{device}"), "");
        self.tree.link(&format!("/dev/md/{name}"), &format!("/dev/{device}"));
        for leg in legs {
            self.hold(device, leg);
        }
        state.nvme.arrays.insert(device.to_owned(), (name.to_owned(), legs.to_vec()));
        self.size_array(state, device);
    }

    /// As large as its smallest leg is here.
    fn size_array(&self, state: &State, device: &str) {
        let legs = &state.nvme.arrays[device].1;
        let sectors = |leg: &String| self.tree.read(&format!("/sys/block/{leg}/size"))?.parse::<u64>().ok();
        let size = legs.iter().filter_map(sectors).min().unwrap_or(0);
        self.tree.write(&format!("/sys/devices/virtual/block/{device}/size"), format!("{size}\n"));
    }

    fn remove_array(&self, state: &mut State, device: &str) {
        let Some((name, legs)) = state.nvme.arrays.remove(device) else { return };
        for leg in legs {
            self.tree.remove(&format!("/sys/block/{leg}/holders/{device}"));
        }
        self.tree.remove(&format!("/dev/md/{name}"));
        self.tree.remove(&format!("/sys/block/{device}"));
        self.tree.remove(&format!("/sys/devices/virtual/block/{device}"));
        self.tree.remove(&format!("/dev/{device}"));
    }
}
