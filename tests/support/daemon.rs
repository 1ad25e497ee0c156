//! multipathd and multipath (multipath-tools 0.9): which disks become maps, and the answers.

use super::machine::{Machine, Multipathd, State};

const WWIDS: &str = "/etc/multipath/wwids";

impl Machine {
    fn wwids(&self) -> Vec<String> {
        let text = self.tree.read(WWIDS).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix('/')?.strip_suffix('/')).map(str::to_owned).collect()
    }

    fn write_wwids(&self, wwids: &[String]) {
        let text: String = wwids.iter().map(|wwid| format!("/{wwid}/\n")).collect();
        self.tree.write(WWIDS, text);
    }

    fn remember_wwid(&self, wwid: &str) {
        if !self.wwids().iter().any(|known| known == wwid) {
            // At the end, so that whoever takes another out meanwhile is not undone.
            self.tree.append(WWIDS, &format!("/{wwid}/\n"));
        }
    }

    /// A disk multipathd was told about, by udev or by `add path`.
    pub fn multipathd_sees(&self, state: &mut State, disk: &str) {
        if state.manners.multipathd != Multipathd::Running {
            return;
        }
        let Some(wwid) = state.disks.get(disk).and_then(|disk| disk.seen.udev_id.clone()) else {
            return;
        };
        state.watched.insert(disk.to_owned(), wwid.clone());
        // By `add path` before udev was done: "missing udev info", and no map.
        let is_known = !state.at_udev.contains(disk);
        if !is_known || !state.manners.forms_maps || state.map_over(disk).is_some() {
            return;
        }
        if let Some(device) = state.maps.iter().find(|(_, map)| map.wwid == wwid).map(|(device, _)| device.clone()) {
            self.add_slave(state, &device, disk);
            return;
        }
        let alike: Vec<String> =
            state.watched.iter().filter(|(_, of)| **of == wwid).map(|(name, _)| name.clone()).collect();
        let wanted = match state.manners.find_multipaths {
            "no" | "off" | "greedy" => true,
            "strict" => self.wwids().contains(&wwid),
            _ => self.wwids().contains(&wwid) || alike.len() > 1,
        };
        if wanted {
            self.remember_wwid(&wwid);
            let device = self.add_map(state, &wwid, disk);
            for other in alike
                .iter()
                .filter(|other| *other != disk && state.disks.contains_key(*other))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.add_slave(state, &device, &other);
            }
        }
    }

    /// A disk that is gone: a map without paths goes as well, unless something uses it.
    pub fn multipathd_loses(&self, state: &mut State, disk: &str) {
        let wwid = state.watched.remove(disk);
        let empty = state.maps.iter().find(|(_, map)| Some(&map.wwid) == wwid.as_ref() && map.slaves.is_empty());
        if let Some(device) = empty.map(|(device, _)| device.clone()) {
            self.remove_map(state, &device);
        }
    }

    /// The answer to one request.
    pub fn multipathd_answers(&self, state: &mut State, request: &[&str]) -> String {
        match request {
            ["show", "status"] => "path checker states:\nup                  1\n\npaths: 1\nbusy: False\n".to_owned(),
            ["show", "config", "local"] => format!(
                "defaults {{\n\tverbosity 2\n\tfind_multipaths \"{}\"\n\tuser_friendly_names \"{}\"\n}}\nblacklist {{\n}}\n",
                state.manners.find_multipaths,
                if state.manners.friendly_names { "yes" } else { "no" },
            ),
            ["show", "paths", "raw", "format", "%d %m %t %T"] => show_paths(state),
            ["add", "path", disk] => {
                if !state.disks.contains_key(*disk) {
                    return "fail\n".to_owned();
                }
                self.multipathd_sees(state, disk);
                "ok\n".to_owned()
            }
            ["del", "path", disk] => {
                state.watched.remove(*disk);
                "ok\n".to_owned()
            }
            ["del", "map", name] => match state.map_named(name) {
                Some(device) if self.remove_map(state, &device) => "ok\n".to_owned(),
                _ => "fail\n".to_owned(),
            },
            ["disablequeueing", "map", name] => answer(state.map_named(name).is_some()),
            ["resize", "map", name] => {
                let device = state.map_named(name);
                device.iter().for_each(|device| self.resize_map(state, device));
                answer(device.is_some())
            }
            _ => panic!("multipathd has no command {request:?}"),
        }
    }

    /// `multipath`: exit code and output.
    pub fn multipath(&self, state: &mut State, args: &[&str]) -> (i32, String) {
        match args {
            ["-a", wwid] => {
                self.remember_wwid(wwid);
                (0, format!("wwid '{wwid}' added\n"))
            }
            ["-w", wwid] => {
                let left: Vec<String> = self.wwids().into_iter().filter(|known| known != wwid).collect();
                self.write_wwids(&left);
                (0, format!("wwid '{wwid}' removed\n"))
            }
            ["-r"] => (0, String::new()),
            ["-C", name] => {
                let usable = state.manners.paths_ready && state.map_named(name).is_some();
                (i32::from(!usable), String::new())
            }
            ["-f", name] => match state.map_named(name) {
                Some(device) if self.remove_map(state, &device) => (0, String::new()),
                Some(_) => (1, format!("{name}: map in use\n")),
                // What a wrong name does (LP 1663925): nothing, successfully.
                None => (0, String::new()),
            },
            _ => panic!("multipath is not called like this: {args:?}"),
        }
    }
}

fn answer(done: bool) -> String {
    if done { "ok\n" } else { "fail\n" }.to_owned()
}

fn show_paths(state: &State) -> String {
    let mut text = String::new();
    for disk in state.watched.keys() {
        let map = state.map_over(disk).and_then(|device| state.maps.get(&device)).map(|map| map.name.as_str());
        let states = if state.manners.paths_ready { "active ready" } else { "failed faulty" };
        match map {
            Some(map) => text += &format!("{disk} {map} {states}\n"),
            None => text += &format!("{disk} [orphan] undef undef\n"),
        }
    }
    // multipathd says `ok` when there is nothing to show.
    if text.is_empty() { "ok\n".to_owned() } else { text }
}
