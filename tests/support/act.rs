//! The seam: what the engine runs, writes and asks reaches the machine here, and is noted.

use std::path::Path;
use std::time::Duration;

use os_brick_engine::error::{Error, Result};
use os_brick_engine::host::act::nvme::Connection;
use os_brick_engine::host::act::runner::{Arg, Command, Output, Runner};

use super::iscsiadm;
use super::machine::{Machine, Multipathd, State, Trouble};

/// How long `Trouble::Until` waits, much longer than a busy machine makes a test.
const PATIENCE: Duration = Duration::from_secs(120);

impl Runner for Machine {
    fn run(&self, command: &Command) -> Result<Output> {
        let args: Vec<String> = command
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Plain(text) => text.clone(),
                // As `/proc/PID/cmdline` shows it to everybody.
                Arg::Secret(secret) => secret.reveal().to_owned(),
            })
            .collect();
        let (code, stdout, stderr) = match self.note(&format!("{} {}", command.program, args.join(" "))) {
            None => self.works(command.program, &args),
            Some(Trouble::Timeout) => {
                return Err(Error::CommandTimeout { argv: command.to_string(), after: command.timeout });
            }
            Some(Trouble::Exit(code, stderr)) => (code, String::new(), stderr.to_owned()),
            Some(Trouble::Answer(text)) => (0, text.to_owned(), String::new()),
            Some(Trouble::Ignored) => (0, String::new(), String::new()),
            Some(Trouble::Slow(time)) => {
                std::thread::sleep(time);
                self.works(command.program, &args)
            }
            Some(Trouble::Until(wanted)) if self.comes_to_be(wanted) => self.works(command.program, &args),
            Some(Trouble::Until(_)) => (1, String::new(), "what was waited for did not come to be".to_owned()),
            Some(Trouble::Then(also)) => {
                also(self, &mut self.state());
                self.works(command.program, &args)
            }
            Some(trouble) => panic!("{trouble:?} is no trouble of a command"),
        };
        let output = Output { code: Some(code), stdout, stderr };
        if !command.accept.contains(&code) {
            return Err(command.failure(&output));
        }
        // A caller's `execute=` gives the outputs and no code.
        Ok(if self.direct { output } else { Output { code: command.accept.first().copied(), ..output } })
    }

    fn write(&self, path: &Path, content: &str) -> Result<()> {
        let path_text = path.display().to_string();
        let refused = |reason: &str| Error::Io { verb: "write", path: path.to_path_buf(), reason: reason.to_owned() };
        let trouble = self.note(&format!("write {content} > {path_text}"));
        match trouble {
            Some(Trouble::Refused) => return Err(refused("Input/output error")),
            Some(Trouble::Ignored) => return Ok(()),
            Some(Trouble::Slow(time)) => std::thread::sleep(time),
            Some(Trouble::Until(wanted)) if !self.comes_to_be(wanted) => {
                return Err(refused("what was waited for did not come to be"));
            }
            _ => {}
        }
        if !self.tree.exists(&path_text) {
            return Err(refused("No such file or directory"));
        }
        let mut state = self.state();
        match path_text.split('/').collect::<Vec<_>>()[..] {
            ["", "sys", "class", "scsi_host", host, "scan"] => {
                let host: u32 = host.trim_start_matches("host").parse().expect("a host has a number");
                self.scan_host(&mut state, host, content, matches!(trouble, Some(Trouble::SessionLost)));
            }
            ["", "sys", "block", disk, "device", "delete"] => {
                self.remove_disk(&mut state, disk);
                if matches!(trouble, Some(Trouble::GoneAlready)) {
                    return Err(refused("No such device"));
                }
            }
            ["", "sys", "bus", "scsi", "devices", hctl, "delete"] => self.remove_device(&mut state, hctl),
            // udev looks at the disk again, which changes nothing here.
            ["", "sys", "block", _, "uevent"] | ["", "sys", "block", _, _, "uevent"] => {}
            ["", "sys", "block", disk, "device", "rescan"] => self.rescan_disk(&mut state, disk),
            ["", "sys", "class", "nvme-fabrics", "ctl", controller, attribute] => {
                self.nvme_write(&mut state, controller, attribute);
            }
            ["", "sys", "bus", "ccw", "drivers", "zfcp", adapter, ref rest @ ..] => {
                if !self.zfcp_works(&mut state, adapter, rest, content) {
                    return Err(refused("Invalid argument"));
                }
            }
            _ => panic!("nobody writes to {path_text}"),
        }
        if let Some(Trouble::Then(also)) = trouble {
            also(self, &mut state);
        }
        drop(state);
        self.announce();
        Ok(())
    }

    fn multipathd(&self, request: &[&str]) -> Result<String> {
        let line = format!("multipathd {}", request.join(" "));
        let failure = |code, stderr: &str| {
            let command = Command::new("multipathd", request.iter().copied());
            let output = Output { code, stdout: String::new(), stderr: stderr.to_owned() };
            Err(command.failure(&output))
        };
        match self.note(&line) {
            Some(Trouble::Answer(text)) => return Ok(text.to_owned()),
            Some(Trouble::Ignored) => return Ok("ok\n".to_owned()),
            Some(Trouble::Exit(code, stderr)) => return failure(Some(code), stderr),
            Some(Trouble::Timeout) => {
                return Err(Error::CommandTimeout { argv: line, after: Duration::from_secs(10) });
            }
            _ => {}
        }
        let mut state = self.state();
        match state.manners.multipathd {
            Multipathd::Absent => failure(None, "cannot start: No such file or directory"),
            Multipathd::OldAndSilent => Ok("error receiving packet\n".to_owned()),
            Multipathd::Running => {
                let answer = self.multipathd_answers(&mut state, request);
                drop(state);
                self.announce();
                Ok(answer)
            }
        }
    }

    fn nvme_connect(&self, options: &str) -> Result<Connection> {
        self.nvme_trouble(&format!("fabrics {options}"))?;
        let made = self.fabrics(&mut self.state(), options);
        self.announce();
        made
    }

    fn nvme_identify(&self, controller: &Path, nsid: u32, cns: u8) -> Result<Option<Vec<u8>>> {
        self.nvme_trouble(&format!("identify {} {nsid} {cns:#04x}", controller.display()))?;
        Ok(self.nvme_answers(&self.state(), &controller.display().to_string(), nsid, cns))
    }

    fn is_direct(&self) -> bool {
        self.direct
    }
}

impl Machine {
    pub fn comes_to_be(&self, wanted: fn(&State) -> bool) -> bool {
        self.wait_until(PATIENCE, wanted)
    }

    fn works(&self, program: &str, args: &[String]) -> (i32, String, String) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut state = self.state();
        let (code, stdout) = match program {
            "iscsiadm" => self.iscsiadm(&mut state, &args),
            "multipath" => self.multipath(&mut state, &args),
            "blockdev" | "modprobe" => (0, String::new()),
            "dd" => (self.dd(&args), String::new()),
            "nvme" => self.nvme(&mut state, &args),
            "mdadm" => self.mdadm(&mut state, &args),
            "blkid" => self.blkid(&mut state, &args),
            "dmsetup" => (0, self.open_counts()),
            _ => panic!("the machine has no program {program}"),
        };
        drop(state);
        self.announce();
        let stderr = if program == "iscsiadm" { iscsiadm::complaint(code) } else { "" };
        (code, stdout, stderr.to_owned())
    }

    /// A device that answers is a file here; one that is down is a directory.
    fn dd(&self, args: &[&str]) -> i32 {
        let device = args.iter().find_map(|arg| arg.strip_prefix("if=")).expect("dd reads a device");
        assert!(args.contains(&"of=/dev/null"), "dd writes nowhere else: {args:?}");
        i32::from(!self.tree.is_file(device))
    }

    /// A device is open as often as others are built on it; who else has it open, a test says itself.
    fn open_counts(&self) -> String {
        let devices = self.tree.names("/sys/block").into_iter().filter(|name| name.starts_with("dm-"));
        let count = |name: &String| self.tree.names(&format!("/sys/block/{name}/holders")).len();
        devices.map(|name| format!("{name}={}\n", count(&name))).collect()
    }

    /// What a scan of a SCSI host does: of a Fibre Channel port, or of the session it stands for.
    fn scan_host(&self, state: &mut State, host: u32, what: &str, ends_session: bool) {
        if state.fabric.hosts.contains_key(&host) {
            return self.scan_fabric(state, host, what);
        }
        let session = state.sessions.values().find(|session| session.host == host);
        let sid = session.expect("a host that is there has a session").sid;
        if ends_session {
            return self.remove_session(state, sid);
        }
        self.scan(state, sid, what);
    }

    /// `channel target lun`, each a number or `-`: the disk comes with the write, or a moment after it.
    fn scan(&self, state: &mut State, sid: u32, what: &str) {
        let parts: Vec<&str> = what.split(' ').collect();
        let [channel, target, lun] = parts[..] else {
            panic!("a scan names channel, target and LUN, not {what:?}");
        };
        if !matches!(channel, "0" | "-") || !matches!(target, "0" | "-") {
            return;
        }
        let lun: u64 = lun.parse().expect("a scan for every LUN brings in disks of other volumes");
        match state.manners.disk_delay {
            Duration::ZERO => drop(self.add_disk(state, sid, lun)),
            delay => self.later(delay, move |machine, state| drop(machine.add_disk(state, sid, lun))),
        }
    }
}
