//! `tests/scenarios/iscsi/CASE/`: an operation from its properties to what is left of it, as text.
//!
//! - `host.txt`: the storage and the host before (see `Scene`).
//! - `properties.json`: the connection properties; `{P1}` is portal P1.
//! - `expected.txt`: steps (`> connect multipath`) with what follows from each: commands and writes, the answer (`= ...`).
//!   Portals, SCSI hosts and disks stand as `{P1}`, `{host P1}`, `{disk P1}`.  With `multipath` paths work at once, so
//!   they stand as `{portal}`, `{host}`, `{disk}`, sorted and counted.  `multipathd show ...` is left out: how often the
//!   engine looks is not its behaviour.
//!
//! A new case is a new folder.  `UPDATE_EXPECTED=1` writes what happened into `expected.txt`, for review.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use os_brick_engine::error::Error;
use serde_json::{Value, json};

use crate::check::{
    connect, disconnect, disconnect_by_force, disconnect_device, extend, settings, volume_devices, volume_paths,
};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble, Volume, node_db};

/// A host built line by line: `portal P1`, `portal P2 dead`, `portal V6 at [fd00::1]:3260`, `target IQN at P1 P2`,
/// `chap IQN USER PASSWORD`, `lun IQN 1 volume 7`, `session P1 IQN`, `disk P1 IQN 1`, `record P1 IQN`,
/// `discovered-record P1 IQN`, `find_multipaths yes`, `no-maps`, `friendly-names`, `exit 8 from TEXT`, `built-on sda NAME`.
struct Scene {
    fake: FakeHost,
    portals: BTreeMap<String, String>,
}

impl Scene {
    fn read(text: &str) -> Scene {
        let mut scene = Scene { fake: FakeHost::new(), portals: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            scene.line(&line.split_whitespace().collect::<Vec<_>>());
        }
        scene
    }

    fn portal(&self, name: &str) -> &str {
        self.portals.get(name).unwrap_or_else(|| panic!("no portal {name}"))
    }

    fn line(&mut self, words: &[&str]) {
        let fake = &self.fake;
        match words {
            ["portal", name, rest @ ..] => {
                let portal = match rest {
                    [] => fake.portal(),
                    ["dead"] => fake.dead_portal(),
                    ["at", place] => {
                        let (address, port) = crate::support::storage::split_portal(place);
                        fake.portal_elsewhere(&address, port)
                    }
                    _ => panic!("what portal is {rest:?}?"),
                };
                self.portals.insert((*name).to_owned(), portal);
            }
            ["target", iqn, "at", portals @ ..] => {
                let portals: Vec<&str> = portals.iter().map(|name| self.portal(name)).collect();
                fake.target(iqn, &portals);
            }
            ["chap", iqn, user, password] => fake.require_chap(iqn, user, password),
            _ => self.change(words),
        }
    }

    /// What may also happen between two steps.
    fn change(&self, words: &[&str]) {
        let fake = &self.fake;
        let number = |text: &str| -> u64 { text.parse().unwrap_or_else(|_| panic!("{text} is no number")) };
        match words {
            ["lun", iqn, lun, "volume", volume] => fake.map_lun(iqn, number(lun), numbered(volume)),
            ["lun", iqn, lun, "volume", volume, gib, "GiB"] => {
                fake.map_lun(iqn, number(lun), numbered(volume).sized(number(gib) * GIB));
            }
            ["session", portal, iqn] => {
                fake.log_in(self.portal(portal), iqn);
            }
            ["disk", portal, iqn, lun] => {
                let sid = fake.machine.state().sessions_of(self.portal(portal), iqn)[0].sid;
                fake.scan_in(sid, number(lun));
            }
            ["record", portal, iqn] => {
                let portal = self.portal(portal);
                let record = node_db::fresh(fake.tree(), portal, iqn, "default");
                node_db::write(fake.tree(), &node_db::place(portal, iqn), &record);
            }
            ["discovered-record", portal, iqn] => node_db::write_discovered(fake.tree(), self.portal(portal), iqn),
            ["find_multipaths", mode] => {
                let known = ["no", "yes", "strict", "greedy"].into_iter().find(|known| known == mode);
                fake.behave(|manners| manners.find_multipaths = known.expect("a mode of find_multipaths"));
            }
            ["no-maps"] => fake.behave(|manners| manners.forms_maps = false),
            ["friendly-names"] => fake.behave(|manners| manners.friendly_names = true),
            ["built-on", below, name] => fake.build_on(below, "dm-9", name, "CRYPT-LUKS2-0001"),
            ["exit", code, "from", pattern @ ..] => {
                let code = code.parse().expect("an exit code is a number");
                fake.trouble(&self.filled(&pattern.join(" ")), Trouble::Exit(code, "iscsiadm: it went wrong"));
            }
            ["stop", portal] => fake.stop_portal(self.portal(portal)),
            _ => panic!("a host has no {words:?}"),
        }
    }

    /// `{P1}` filled in.
    fn filled(&self, text: &str) -> String {
        self.portals.iter().fold(text.to_owned(), |text, (name, portal)| text.replace(&format!("{{{name}}}"), portal))
    }

    /// The reverse, with the kernel's numbers and names as well.
    fn anonymous(&self, text: &str, names: &[(String, String)]) -> String {
        let mut text = text.to_owned();
        for (name, portal) in &self.portals {
            let (address, port) = crate::support::storage::split_portal(portal);
            text = text
                .replace(portal, &format!("{{{name}}}"))
                .replace(&format!("{address}:{port}"), &format!("{{{name}}}"));
        }
        names.iter().fold(text, |text, (kernel, name)| text.replace(kernel, name))
    }

    /// Without saying which portal.
    fn blurred(&self, text: &str) -> String {
        self.portals.keys().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), "{portal}").replace(&format!(" {name}}}"), "}")
        })
    }

    /// `/host2/` and `/sda` by the portal they belong to, as far as they are on the host now.
    fn kernel_names(&self) -> Vec<(String, String)> {
        let state = self.fake.machine.state();
        let name_of = |session: &crate::support::machine::Session| {
            let portal = session.portal();
            self.portals.iter().find(|(_, known)| **known == portal).map_or(portal.clone(), |(name, _)| name.clone())
        };
        let hosts = state
            .sessions
            .values()
            .map(|session| (format!("/host{}/", session.host), format!("/{{host {}}}/", name_of(session))));
        let disks = state.disks.iter().filter_map(|(disk, known)| {
            let session = state.sessions.get(&known.sid)?;
            Some((format!("/{disk}"), format!("/{{disk {}}}", name_of(session))))
        });
        hosts.chain(disks).collect()
    }
}

fn counted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    lines.for_each(|line| *counts.entry(line).or_default() += 1);
    counts.into_iter().map(|(line, count)| if count == 1 { line } else { format!("{count} x {line}") }).collect()
}

fn numbered(volume: &str) -> Volume {
    Volume::number(volume.parse().expect("volumes have numbers"))
}

fn outcome<T>(result: Result<T, Error>, shown: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(answer) => format!("= {}", shown(answer)),
        Err(error) => {
            let kind = format!("{error:?}");
            format!("= {}: {error}", kind.split([' ', '(']).next().unwrap_or_default())
        }
    }
}

fn errors(errors: Vec<Error>) -> String {
    if errors.is_empty() {
        "detached".to_owned()
    } else {
        errors.iter().map(Error::describe).collect::<Vec<_>>().join("; ")
    }
}

/// One operation; the words after it are settings.
fn perform(scene: &Scene, properties: &Value, words: &[&str]) -> String {
    let fake = &scene.fake;
    let interface = words.iter().find_map(|word| word.strip_prefix("interface=")).unwrap_or("default");
    let chosen = settings(&json!({
        "use_multipath": words.contains(&"multipath"),
        "enforce_identity": words.contains(&"enforce"),
        "interface": interface,
    }));
    match words {
        ["connect", ..] => outcome(connect(fake, properties, &chosen), |done| {
            fake.settle();
            let id = done.multipath_id.map_or(String::new(), |id| format!(", multipath_id {id}"));
            format!("{}, scsi_wwn {}{id}", done.path, done.scsi_wwn)
        }),
        ["disconnect", "force", ..] => outcome(disconnect_by_force(fake, properties, &chosen), errors),
        ["disconnect", "device", device, ..] => outcome(disconnect_device(fake, properties, &chosen, device), errors),
        ["disconnect", ..] => outcome(disconnect(fake, properties, &chosen), errors),
        ["extend", ..] => outcome(extend(fake, properties, &chosen), |size| format!("{} GiB", size / GIB)),
        ["volume_paths", ..] => format!("= {}", volume_paths(fake, properties, &chosen).join(" ")),
        ["volume_devices", ..] => {
            let mut devices = volume_devices(fake, properties, &chosen);
            devices.sort();
            format!("= {}", devices.join(" "))
        }
        ["left"] => left(fake),
        _ => {
            scene.change(words);
            String::new()
        }
    }
}

/// What is on the host, once udev is done.
fn left(fake: &FakeHost) -> String {
    fake.settle();
    let left = fake.leftovers();
    if left.is_empty() { "= nothing".to_owned() } else { left.iter().map(|line| format!("= {line}\n")).collect() }
}

/// What a step did, in the words of `expected.txt`.
fn play(scene: &Scene, properties: &Value, step: &str) -> String {
    scene.fake.forget_journal();
    let mut names = scene.kernel_names();
    let answer = perform(scene, properties, &step.split_whitespace().collect::<Vec<_>>());
    names.extend(scene.kernel_names());
    let mut lines: Vec<String> = scene
        .fake
        .journal()
        .iter()
        .filter(|line| !line.starts_with("multipathd show"))
        .map(|line| scene.anonymous(line, &names))
        .collect();
    if step.contains("multipath") {
        lines = counted(lines.iter().map(|line| scene.blurred(line)));
    }
    let answer = scene.anonymous(answer.trim_end(), &names);
    let body: String =
        lines.into_iter().chain((!answer.is_empty()).then_some(answer)).map(|line| line + "\n").collect();
    format!("> {step}\n{body}")
}

fn run(case: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read_to_string(case.join(name)).map_err(|error| format!("{name}: {error}"));
    let scene = Scene::read(&read("host.txt")?);
    let properties = scene.filled(&read("properties.json")?);
    let properties: Value = serde_json::from_str(&properties).map_err(|error| format!("properties.json: {error}"))?;
    let expected = read("expected.txt")?;
    let head: String =
        expected.lines().take_while(|line| !line.starts_with("> ")).map(|line| format!("{line}\n")).collect();
    let steps = expected.lines().filter_map(|line| line.strip_prefix("> "));
    let happened = steps.fold(head, |text, step| text + &play(&scene, &properties, step));
    if happened == expected {
        return Ok(());
    }
    if std::env::var("UPDATE_EXPECTED").is_ok() {
        return fs::write(case.join("expected.txt"), happened).map_err(|error| error.to_string());
    }
    Err(format!("---- expected\n{expected}\n---- happened\n{happened}"))
}

#[test]
fn every_scenario_ends_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/iscsi");
    let cases = fs::read_dir(folder).expect("the scenarios are in the source tree");
    let cases: Vec<PathBuf> = cases.map(|entry| entry.expect("a folder can be read").path()).collect();
    assert!(cases.len() > 10, "where are the scenarios?");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| (case, scope.spawn(|| run(case)))).collect();
        let ended = running.into_iter().map(|(case, thread)| {
            let outcome = thread.join().unwrap_or_else(|_| Err("it panicked, see above".to_owned()));
            outcome.err().map(|reason| format!("{}: {reason}", case.display()))
        });
        ended.collect::<Vec<_>>().into_iter().flatten().collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
