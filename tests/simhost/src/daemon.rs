// SPDX-License-Identifier: Apache-2.0
//! The event loop: calls of fake programs, multipathd's socket, writes to control files, and what is due.
//!
//! One thread, so that nothing here needs a lock and the measured program keeps the other core.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::client::{SOCKET, receive, send};
use crate::commands::Reply;
use crate::fabrics::{Asked, Asker};
use crate::fuse::FabricsFile;
use crate::host::{Event, Host, Request, now_ns};
use crate::model::{Kind, PORT};
use crate::{commands, fabrics, kernel, multipath};

const MULTIPATHD: &str = "/org/kernel/linux/storage/multipathd";

/// After so long without anything to do the daemon cleans up behind itself.
const QUIET: Duration = Duration::from_millis(100);

/// Where something was heard.
enum Source {
    Stdin,
    Programs,
    Multipathd,
    Portal(usize),
    MultipathdClient(u64),
    Fifo(PathBuf),
    Opening,
    FabricsFile,
}

pub struct Daemon {
    host: Host,
    programs: UnixListener,
    multipathd: UnixListener,
    portals: Vec<TcpListener>,
    fabrics_file: Option<FabricsFile>,
    /// Programs waiting for their answer.
    callers: HashMap<u64, UnixStream>,
    /// Connections to multipathd's socket; they stay open between commands.
    clients: HashMap<u64, UnixStream>,
    last_connection: u64,
}

impl Daemon {
    pub fn start(mut host: Host) -> io::Result<Daemon> {
        kernel::base(&host.tree)?;
        host.add_ports()?;
        let port = if host.config.kind == Kind::Nvme { fabrics::PORT } else { PORT };
        let fabrics_file = (host.config.kind == Kind::Nvme).then(|| {
            fabrics::base(&host)?;
            FabricsFile::mount()
        });
        let address = SocketAddr::from_abstract_name(MULTIPATHD)?;
        let portals = host.config.portals.iter().map(|portal| TcpListener::bind((portal.as_str(), port)));
        let portals = portals.collect::<io::Result<Vec<_>>>()?;
        Ok(Daemon {
            programs: UnixListener::bind(SOCKET)?,
            multipathd: UnixListener::bind_addr(&address)?,
            portals,
            fabrics_file: fabrics_file.transpose()?,
            host,
            callers: HashMap::new(),
            clients: HashMap::new(),
            last_connection: 0,
        })
    }

    /// Until standard input is closed.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            let heard = self.wait()?;
            if heard.is_empty() && self.host.has_unprepared() {
                self.host.prepare_one()?;
            } else if heard.is_empty() && self.host.events.is_empty() {
                self.host.tree.empty_trash()?;
            }
            for source in heard {
                match source {
                    Source::Stdin => return Ok(()),
                    Source::Programs => self.program_called()?,
                    Source::Multipathd => {
                        let (socket, _) = self.multipathd.accept()?;
                        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
                        self.last_connection += 1;
                        self.clients.insert(self.last_connection, socket);
                    }
                    Source::Portal(at) => drop::<io::Result<(TcpStream, _)>>(self.portals[at].accept()),
                    Source::MultipathdClient(connection) => self.multipathd_asked(connection),
                    Source::Fifo(path) => self.host.written(&path)?,
                    Source::Opening => self.host.opened()?,
                    Source::FabricsFile => self.fabrics_file_used()?,
                }
            }
            self.due()?;
        }
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut sources =
            vec![(Source::Programs, self.programs.as_fd()), (Source::Multipathd, self.multipathd.as_fd())];
        sources.extend(self.portals.iter().enumerate().map(|(at, portal)| (Source::Portal(at), portal.as_fd())));
        sources.extend(self.clients.iter().map(|(id, socket)| (Source::MultipathdClient(*id), socket.as_fd())));
        sources.extend(self.host.controls.fifos().map(|(path, fd)| (Source::Fifo(path.clone()), fd)));
        sources.extend(self.host.controls.fanotify().map(|fd| (Source::Opening, fd)));
        sources.extend(self.fabrics_file.as_ref().map(|file| (Source::FabricsFile, file.as_fd())));
        sources
    }

    /// What can be read now, or nothing when something is due first.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let due = self.host.events.keys().next().map(|(at_ns, _)| Duration::from_nanos(at_ns.saturating_sub(now_ns())));
        let timeout = match due {
            _ if self.host.has_unprepared() => Some(Duration::ZERO),
            None if self.host.tree.has_trash() => Some(QUIET),
            other => other,
        };
        let timeout = timeout.map(TimeSpec::from_duration);
        let stdin = io::stdin();
        let mut sources = self.sources();
        sources.push((Source::Stdin, stdin.as_fd()));
        let mut fds: Vec<PollFd<'_>> = sources.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let heard: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        Ok(sources.into_iter().zip(heard).filter(|(_, heard)| *heard).map(|((source, _), _)| source).collect())
    }

    fn program_called(&mut self) -> io::Result<()> {
        let (mut socket, _) = self.programs.accept()?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let Ok(payload) = receive(&mut socket) else { return Ok(()) };
        let text = String::from_utf8_lossy(&payload).into_owned();
        let mut parts = text.split('\0').map(str::to_owned);
        let start_ns = parts.next().and_then(|part| part.parse().ok()).unwrap_or_else(now_ns);
        let request = Request { start_ns, stdin: parts.next().unwrap_or_default(), argv: parts.collect() };
        let free = request.argv.first().is_some_and(|name| name == "simctl");
        let at_ns = if free { 0 } else { start_ns + self.host.config.program_ns };
        self.last_connection += 1;
        let connection = self.last_connection;
        self.callers.insert(connection, socket);
        self.host.schedule(at_ns, Event::Program { connection, request });
        Ok(())
    }

    fn fabrics_file_used(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.fabrics_file else { return Ok(()) };
        let Some(written) = file.hear()? else { return Ok(()) };
        let options = written.options.clone();
        self.host.ask(Asked { start_ns: now_ns(), asker: Asker::File(written), options })
    }

    /// Whoever asked for a connection is told, then the kernel turns to the next.
    fn connected(&mut self) -> io::Result<()> {
        let Some((asked, outcome)) = self.host.connected()? else { return Ok(()) };
        match (asked.asker, &mut self.fabrics_file) {
            (Asker::File(written), Some(file)) => file.answer(&written, outcome)?,
            (Asker::File(_), None) => {}
            (Asker::Program { connection, request }, _) => {
                self.reply(connection, &request, &fabrics::told(outcome));
            }
        }
        self.host.begin_connection()
    }

    fn multipathd_asked(&mut self, connection: u64) {
        let command = self.clients.get_mut(&connection).map(read_packet);
        match command {
            Some(Ok(command)) => {
                let start_ns = now_ns();
                let event = Event::Multipathd { connection, start_ns, command };
                self.host.schedule(start_ns + self.host.config.program_ns, event);
            }
            _ => drop(self.clients.remove(&connection)),
        }
    }

    /// Everything whose time has come.
    fn due(&mut self) -> io::Result<()> {
        while let Some(entry) = self.host.events.first_entry() {
            if entry.key().0 > now_ns() {
                break;
            }
            match entry.remove() {
                Event::Disk { start_ns, key, lun } => {
                    self.host.add_disk(key, lun)?;
                    self.host.note(start_ns, format!("kernel: LUN {lun} of session or port {key}"));
                }
                Event::Map { start_ns, wwid } => {
                    self.host.make_map(&wwid)?;
                    self.host.note(start_ns, format!("multipathd: map {wwid}"));
                }
                Event::Join { start_ns, disk } => {
                    self.host.join(&disk)?;
                    self.host.note(start_ns, format!("multipathd: {disk} joins its map"));
                }
                Event::Program { connection, request } => self.finish(connection, request)?,
                Event::Connected => self.connected()?,
                Event::Multipathd { connection, start_ns, command } => {
                    let text = multipath::answer(&mut self.host, &multipath::words(&command));
                    self.host.note(start_ns, format!("multipathd socket: {command}"));
                    let sent = self.clients.get_mut(&connection).map(|socket| write_packet(socket, &text));
                    if !matches!(sent, Some(Ok(()))) {
                        self.clients.remove(&connection);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, connection: u64, request: Request) -> io::Result<()> {
        if let Some(options) = fabrics::options_of(&request.argv) {
            return self.host.ask(Asked { start_ns: now_ns(), asker: Asker::Program { connection, request }, options });
        }
        let reply = commands::run(&mut self.host, &request);
        self.reply(connection, &request, &reply);
        Ok(())
    }

    fn reply(&mut self, connection: u64, request: &Request, reply: &Reply) {
        if request.argv.first().is_some_and(|name| name != "simctl") {
            self.host.note(request.start_ns, format!("{} -> {}", request.argv.join(" "), reply.code));
        }
        if let Some(mut socket) = self.callers.remove(&connection) {
            // A caller that was killed meanwhile does not matter.
            let _ = send(&mut socket, reply.code.to_string().as_bytes())
                .and_then(|()| send(&mut socket, &reply.stdout))
                .and_then(|()| send(&mut socket, reply.stderr.as_bytes()));
        }
    }
}

/// multipathd's packets: the length in eight bytes of the machine's order, then text that ends with a NUL.
fn read_packet(socket: &mut UnixStream) -> io::Result<String> {
    let mut length = [0; 8];
    socket.read_exact(&mut length)?;
    let length = u64::from_ne_bytes(length).min(65536) as usize;
    let mut text = vec![0; length];
    socket.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned())
}

fn write_packet(socket: &mut UnixStream, text: &str) -> io::Result<()> {
    let mut packet = (text.len() as u64 + 1).to_ne_bytes().to_vec();
    packet.extend_from_slice(text.as_bytes());
    packet.push(0);
    socket.write_all(&packet)
}
