// SPDX-License-Identifier: Apache-2.0
//! NVMe over TCP as it comes and goes: connections asked for through `/dev/nvme-fabrics` or by `nvme connect`, which the
//! kernel makes one after the other, and their end.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use nix::errno::Errno;

use crate::commands::Reply;
use crate::controls::Control;
use crate::fuse::Written;
use crate::host::{Event, Host, Request, now_ns};
use crate::nvme::{self, Controller, Namespace, Subsystem};

pub const NQN: &str = "nqn.2014-08.org.example:subsystem-1";
pub const PORT: u16 = 4420;

/// Who waits for a connection.
#[derive(Debug)]
pub enum Asker {
    File(Written),
    Program { connection: u64, request: Request },
}

/// A connection somebody wants.
#[derive(Debug)]
pub struct Asked {
    pub start_ns: u64,
    pub asker: Asker,
    pub options: String,
}

impl Asked {
    fn option(&self, key: &str) -> &str {
        self.options.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).unwrap_or("")
    }
}

#[derive(Default)]
pub struct Fabrics {
    controllers: BTreeMap<u32, Controller>,
    subsystem: Option<Subsystem>,
    /// The first is being made.
    queue: VecDeque<Asked>,
    /// What becomes of the first.
    outcome: Option<Result<Controller, Errno>>,
}

impl Fabrics {
    pub fn count(&self) -> usize {
        self.controllers.len()
    }
}

/// The options of `nvme connect` as it writes them to the kernel, if that is what is called.
pub fn options_of(argv: &[String]) -> Option<String> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let ["nvme", "connect", rest @ ..] = words.as_slice() else { return None };
    let after = |flag: &str| rest.iter().position(|word| *word == flag).and_then(|at| rest.get(at + 1)).copied();
    let keys = [("nqn", "-n"), ("transport", "-t"), ("traddr", "-a"), ("trsvcid", "-s"), ("hostnqn", "-q")];
    let given = keys.iter().filter_map(|(key, flag)| Some(format!("{key}={}", after(flag)?)));
    Some(given.collect::<Vec<_>>().join(","))
}

/// The other commands of `nvme`.
pub fn nvme(host: &mut Host, argv: &[String]) -> Reply {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["nvme", "disconnect", "-d", device] => {
            let number = device.trim_start_matches("/dev/").trim_start_matches("nvme").parse();
            number.map_or_else(|_| Reply::error(1, "no such controller\n"), |number| host.disconnect(number).into())
        }
        ["nvme", "ns-rescan", _] => Reply::default(),
        ["nvme", "version"] => Reply::out("nvme version 2.3 (git 2.3)\n"),
        _ => Reply::error(1, "nvme: not simulated\n"),
    }
}

impl From<io::Result<()>> for Reply {
    fn from(outcome: io::Result<()>) -> Reply {
        outcome.map_or_else(|error| Reply::error(1, &format!("{error}\n")), |()| Reply::default())
    }
}

/// What `nvme connect` says.
pub fn told(outcome: Result<String, Errno>) -> Reply {
    match outcome {
        Ok(answer) => Reply::out(&format!("connecting to device: nvme{}\n", instance(&answer))),
        Err(Errno::EALREADY) => Reply::error(1, "already connected\n"),
        Err(errno) => Reply::error(1, &format!("could not add new controller: {}\n", errno.desc())),
    }
}

fn instance(answer: &str) -> &str {
    answer.split(['=', ',']).nth(1).unwrap_or("")
}

impl Host {
    pub fn ask(&mut self, asked: Asked) -> io::Result<()> {
        self.fabrics.queue.push_back(asked);
        if self.fabrics.queue.len() == 1 { self.begin_connection() } else { Ok(()) }
    }

    /// The kernel turns to the next who asked.
    pub fn begin_connection(&mut self) -> io::Result<()> {
        let Some(asked) = self.fabrics.queue.front() else { return Ok(()) };
        let outcome = self.controller_of(asked);
        let now_ns = now_ns();
        let due_ns = if outcome.is_ok() { now_ns + self.config.disk_ns } else { now_ns };
        if let Ok(controller) = &outcome {
            self.prepare(controller)?;
        }
        self.fabrics.outcome = Some(outcome);
        self.schedule(due_ns, Event::Connected);
        Ok(())
    }

    fn controller_of(&self, asked: &Asked) -> Result<Controller, Errno> {
        let address = asked.option("traddr");
        if asked.option("nqn") != NQN || !self.config.portals.iter().any(|portal| portal == address) {
            return Err(Errno::ECONNREFUSED);
        }
        let fabrics = &self.fabrics;
        if fabrics.controllers.values().any(|controller| controller.address == address) {
            return Err(Errno::EALREADY);
        }
        // A subsystem has the number of its first controller for as long as it is there.
        let taken = |number: &u32| {
            fabrics.controllers.contains_key(number)
                || fabrics.subsystem.as_ref().is_some_and(|of| of.number == *number)
        };
        let number = (0..).find(|number| !taken(number)).unwrap_or(0);
        let subsystem = fabrics.subsystem.as_ref().map_or(number, |subsystem| subsystem.number);
        Ok(Controller { number, subsystem, nqn: NQN.to_owned(), address: address.to_owned(), portal: number })
    }

    fn namespaces(&self, subsystem: u32) -> impl Iterator<Item = Namespace> + use<> {
        let size = self.config.size;
        let namespace = move |nsid| Namespace { volume: nsid - 1, subsystem, nsid, size, has_uuid: true };
        (1..=self.config.last_lun as u32).map(namespace)
    }

    /// Makes what the connection will show, aside: it appears in one moment.
    fn prepare(&self, controller: &Controller) -> io::Result<()> {
        let subsystem = Subsystem { number: controller.subsystem, nqn: controller.nqn.clone() };
        if self.fabrics.subsystem.is_none() {
            self.tree.stage(&subsystem.directory(), || {
                subsystem.prepare(&self.tree)?;
                self.namespaces(subsystem.number).try_for_each(|namespace| namespace.prepare(&self.tree))
            })?;
        }
        self.tree.stage(&controller.directory(), || {
            controller.prepare(&self.tree, true, !self.controls.holds_up_opening())?;
            self.namespaces(subsystem.number)
                .try_for_each(|namespace| namespace.add_path(&self.tree, controller.number))
        })
    }

    /// The connection that was being made is there, or is refused: who asked, and what the kernel answers.
    pub fn connected(&mut self) -> io::Result<Option<(Asked, Result<String, Errno>)>> {
        let (Some(asked), Some(outcome)) = (self.fabrics.queue.pop_front(), self.fabrics.outcome.take()) else {
            return Ok(None);
        };
        let answer = match outcome {
            Ok(controller) => Ok(self.add_controller(controller)?),
            Err(errno) => Err(errno),
        };
        self.note(asked.start_ns, format!("kernel: connection to {}", asked.option("traddr")));
        Ok(Some((asked, answer)))
    }

    fn add_controller(&mut self, controller: Controller) -> io::Result<String> {
        let is_first = self.fabrics.subsystem.is_none();
        let subsystem = Subsystem { number: controller.subsystem, nqn: controller.nqn.clone() };
        if is_first {
            self.tree.reveal(&subsystem.directory())?;
            subsystem.show(&self.tree)?;
        }
        self.tree.reveal(&controller.directory())?;
        controller.show(&self.tree)?;
        if is_first {
            self.namespaces(subsystem.number).try_for_each(|namespace| namespace.show(&self.tree))?;
        }
        let number = controller.number;
        let file = |name: &str| self.tree.sys(&format!("{}/{name}", controller.directory()));
        let (delete, rescan) = (file("delete_controller"), file("rescan_controller"));
        self.controls.add(delete, Control::DeleteController(number))?;
        self.controls.add(rescan, Control::RescanController(number))?;
        self.fabrics.subsystem = Some(subsystem);
        self.fabrics.controllers.insert(number, controller);
        Ok(format!("instance={number},cntlid={}\n", number + 1))
    }

    /// A connection ends, and with the last of them what it led to.
    pub fn disconnect(&mut self, number: u32) -> io::Result<()> {
        let Some(controller) = self.fabrics.controllers.remove(&number) else { return Ok(()) };
        let is_its = |control: &Control| matches!(control, Control::DeleteController(of) | Control::RescanController(of) if *of == number);
        self.controls.forget(is_its);
        controller.remove(&self.tree);
        if self.fabrics.controllers.is_empty()
            && let Some(subsystem) = self.fabrics.subsystem.take()
        {
            self.namespaces(subsystem.number).for_each(|namespace| namespace.remove(&self.tree));
            subsystem.remove(&self.tree);
        }
        Ok(())
    }

    /// The storage has taken everything back: what a detach leaves for others goes too.
    pub fn disconnect_all(&mut self) -> io::Result<()> {
        let numbers: Vec<u32> = self.fabrics.controllers.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.disconnect(number))
    }

    /// The size of a namespace that is there.
    pub fn namespace_size(&self, device: &str) -> Option<u64> {
        let subsystem = self.fabrics.subsystem.as_ref()?;
        self.namespaces(subsystem.number).find(|namespace| namespace.name() == device).map(|namespace| namespace.size)
    }
}

/// The files of a host with NVMe before the first connection.
pub fn base(host: &Host) -> io::Result<()> {
    nvme::base(&host.tree, "/".as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_asked_for_by_the_program_as_by_hand() {
        let argv = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let options = options_of(&argv("nvme connect -a 127.0.1.1 -s 4420 -t tcp -n nqn.x -Q 128 -l -1"));
        assert_eq!(options.as_deref(), Some("nqn=nqn.x,transport=tcp,traddr=127.0.1.1,trsvcid=4420"));
        assert_eq!(options_of(&argv("nvme disconnect -d /dev/nvme0")), None);
        assert_eq!(told(Ok("instance=3,cntlid=4\n".to_owned())).stdout, b"connecting to device: nvme3\n");
    }
}
