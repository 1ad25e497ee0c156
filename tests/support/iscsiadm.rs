//! iscsiadm and iscsid of open-iscsi 2.1.8: what a command line does to the machine, and how it ends.

use super::machine::{Login, Machine, State};
use super::node_db::{self, Record};
use super::storage::split_portal;

/// Exit codes (open-iscsi include/iscsi_err.h).
const TRANSPORT_ERROR: i32 = 8;
const IDBM_ERROR: i32 = 6;
const SESSION_EXISTS: i32 = 15;
const NO_OBJECTS: i32 = 21;
const AUTH_FAILED: i32 = 24;

/// A command line taken apart: each option with its value, `-n` and `-v` in pairs.
#[derive(Default)]
struct Options<'a> {
    mode: &'a str,
    iqn: &'a str,
    portal: &'a str,
    interface: &'a str,
    operation: &'a str,
    login: bool,
    logout: bool,
    discover: bool,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Options<'a> {
    fn read(args: &[&'a str]) -> Options<'a> {
        let mut options = Options::default();
        let mut rest = args.iter().copied();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().unwrap_or_else(|| panic!("iscsiadm: {option} needs a value"));
            match option {
                "-m" => options.mode = value(),
                "-T" => options.iqn = value(),
                "-p" => options.portal = value(),
                "-I" | "--interface" => options.interface = value(),
                "-t" => assert_eq!(value(), "sendtargets"),
                "--op" | "-o" => options.operation = value(),
                "-n" => options.settings.push((value(), "")),
                "-v" => options.settings.last_mut().expect("-v follows -n").1 = value(),
                "--login" => options.login = true,
                "--logout" => options.logout = true,
                "--discover" => options.discover = true,
                _ => panic!("iscsiadm is not called like this: {args:?}"),
            }
        }
        options
    }
}

type Ending = (i32, String);

/// What iscsiadm says beside some codes.
pub fn complaint(code: i32) -> &'static str {
    match code {
        TRANSPORT_ERROR => {
            "iscsiadm: Could not login to [iface: default].\niscsiadm: initiator reported error (8 - connection timed out)\n"
        }
        AUTH_FAILED => "iscsiadm: initiator reported error (24 - iSCSI login failed due to authorization failure)\n",
        NO_OBJECTS => "iscsiadm: No records found\n",
        _ => "",
    }
}

fn ends(code: i32) -> Ending {
    (code, String::new())
}

impl Machine {
    pub fn iscsiadm(&self, state: &mut State, args: &[&str]) -> Ending {
        let options = Options::read(args);
        match options.mode {
            "node" => self.node(state, &options),
            "discovery" => {
                assert_eq!(options.operation, "nonpersistent", "discovery makes records of other volumes");
                send_targets(state, options.portal)
            }
            "discoverydb" => self.discoverydb(state, &options),
            "iface" => match self.tree.read(&format!("/etc/iscsi/ifaces/{}", options.interface)) {
                Some(text) => (0, text),
                None => ends(IDBM_ERROR),
            },
            mode => panic!("iscsiadm has no mode {mode}"),
        }
    }

    fn node(&self, state: &mut State, options: &Options<'_>) -> Ending {
        if options.login {
            return self.login(state, options);
        }
        if options.logout {
            let sessions = state.sessions_of(options.portal, options.iqn);
            sessions.iter().for_each(|session| self.remove_session(state, session.sid));
            return ends(if sessions.is_empty() { NO_OBJECTS } else { 0 });
        }
        let file = node_db::file_of(&self.tree, options.portal, options.iqn);
        match (options.operation, file) {
            ("new", _) => {
                let record = node_db::fresh(&self.tree, options.portal, options.iqn, options.interface);
                node_db::write(&self.tree, &node_db::place(options.portal, options.iqn), &record);
                let (address, port) = split_portal(options.portal);
                let portal = super::storage::portal_name(&address, port);
                (
                    0,
                    format!(
                        "New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=default] {portal},-1 {}] added\n",
                        options.iqn
                    ),
                )
            }
            ("update", Some(file)) => {
                self.update(&file, &options.settings);
                ends(0)
            }
            ("delete", Some(file)) => {
                node_db::delete(&self.tree, &file);
                ends(0)
            }
            ("", Some(file)) => (0, self.tree.read(&file).unwrap_or_default()),
            (_, None) => ends(NO_OBJECTS),
            (operation, _) => panic!("iscsiadm -m node has no operation {operation}"),
        }
    }

    fn update(&self, file: &str, settings: &[(&str, &str)]) {
        let mut record = Record::parse(&self.tree.read(file).unwrap_or_default());
        settings.iter().for_each(|(name, value)| record.set(name, value));
        node_db::write(&self.tree, file, &record);
    }

    fn login(&self, state: &mut State, options: &Options<'_>) -> Ending {
        let Some(file) = node_db::file_of(&self.tree, options.portal, options.iqn) else {
            return ends(NO_OBJECTS);
        };
        let record = Record::parse(&self.tree.read(&file).unwrap_or_default());
        let get = |name: &str| record.get(name).unwrap_or_default().to_owned();
        state.logins.push(Login {
            portal: options.portal.to_owned(),
            iqn: options.iqn.to_owned(),
            retries: get("node.session.initial_login_retry_max"),
            scan: get("node.session.scan"),
            startup: get("node.startup"),
        });
        if !state.sessions_of(options.portal, options.iqn).is_empty() {
            return ends(SESSION_EXISTS);
        }
        if !state.storage.portal(options.portal).is_some_and(|portal| portal.alive) {
            return ends(TRANSPORT_ERROR);
        }
        let Some(target) = state.storage.target(options.iqn) else {
            return ends(TRANSPORT_ERROR);
        };
        let given = (get("node.session.auth.username"), get("node.session.auth.password"));
        if target.chap.as_ref().is_some_and(|chap| *chap != given || get("node.session.auth.authmethod") != "CHAP") {
            return ends(AUTH_FAILED);
        }
        let luns: Vec<u64> = target.luns.keys().copied().collect();
        let session = self.add_session(state, options.portal, options.iqn);
        if get("node.session.scan") != "manual" || !state.manners.manual_scan {
            luns.into_iter().for_each(|lun| drop(self.add_disk(state, session.sid, lun)));
        }
        ends(0)
    }

    fn discoverydb(&self, state: &mut State, options: &Options<'_>) -> Ending {
        let place = node_db::discovery_place(options.portal);
        let known = self.tree.is_file(&place);
        match options.operation {
            "new" => {
                let (address, port) = split_portal(options.portal);
                let text = format!(
                    "discovery.startup = manual\ndiscovery.type = sendtargets\ndiscovery.sendtargets.address = {address}\ndiscovery.sendtargets.port = {port}\ndiscovery.sendtargets.auth.authmethod = None\n"
                );
                node_db::write(&self.tree, &place, &Record::parse(&text));
                ends(0)
            }
            _ if !known => ends(IDBM_ERROR),
            "update" => {
                self.update(&place, &options.settings);
                ends(0)
            }
            "delete" => {
                self.tree.remove(place.trim_end_matches("/st_config"));
                ends(0)
            }
            "nonpersistent" if options.discover => {
                let record = Record::parse(&self.tree.read(&place).unwrap_or_default());
                let get = |name: &str| {
                    record.get(&format!("discovery.sendtargets.auth.{name}")).unwrap_or_default().to_owned()
                };
                let given = Some((get("username"), get("password")));
                let wanted = state.storage.discovery_chap.clone();
                if wanted.is_some() && (wanted != given || get("authmethod") != "CHAP") {
                    return ends(AUTH_FAILED);
                }
                answers(state, options.portal)
            }
            operation => panic!("iscsiadm -m discoverydb has no operation {operation}"),
        }
    }
}

fn send_targets(state: &State, portal: &str) -> Ending {
    if state.storage.discovery_chap.is_some() { ends(AUTH_FAILED) } else { answers(state, portal) }
}

/// As LIO answers: every target of the storage with every portal it has, whatever portal was asked.
fn answers(state: &State, portal: &str) -> Ending {
    if !state.storage.portal(portal).is_some_and(|portal| portal.alive) {
        return ends(TRANSPORT_ERROR);
    }
    let lines = state
        .storage
        .targets
        .iter()
        .flat_map(|target| target.portals.iter().map(|portal| format!("{portal},1 {}\n", target.iqn)));
    (0, lines.collect())
}
