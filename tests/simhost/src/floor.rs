// SPDX-License-Identifier: Apache-2.0
//! The floor: the same attaches with the least possible programs and no library, measured on the same host.
//!
//! Node records are written as files, logins and logouts run in parallel, scans name exactly one LUN, sysfs is polled
//! every millisecond.  Over NVMe one write for each portal is all, and one for its end.

use std::fs;
use std::io::{self, Error, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::{Kind, PORT, Port};
use crate::{fabric, fabrics, records};

const TICK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Work {
    pub iqn: String,
    pub kind: Kind,
    pub portals: Vec<String>,
    pub volumes: u64,
    pub multipath: bool,
}

/// Attaches and detaches; gives the seconds of both.
pub fn measure(work: &Work) -> io::Result<(f64, f64)> {
    let start = Instant::now();
    connect(work)?;
    let connected = start.elapsed();
    // As in the benchmark of the libraries: everything the host still does on its own comes to rest.
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    disconnect(work)?;
    Ok((connected.as_secs_f64(), start.elapsed().as_secs_f64()))
}

/// A session's directory, or a remote port's, with the address of the target below it.
struct Way {
    directory: PathBuf,
    host: String,
    target: u32,
}

fn log_in(work: &Work) -> io::Result<()> {
    for portal in &work.portals {
        let mut record = records::new(&work.iqn, portal, PORT, "default", None);
        record.set("node.session.scan", "manual");
        record.write()?;
    }
    in_parallel(work.portals.iter().map(|portal| node_command(work, portal, "--login")))
}

fn ways(work: &Work) -> io::Result<Vec<Way>> {
    if work.kind == Kind::FibreChannel {
        let of_port = |port: Port| {
            let directory = PathBuf::from(format!("/sys/{}", port.directory()));
            Way { directory, host: port.host.to_string(), target: port.id }
        };
        return Ok(fabric::ports(work.portals.len() as u32).into_iter().map(of_port).collect());
    }
    let of_session = |directory: PathBuf| Way { host: host_of(&directory), directory, target: 0 };
    work.portals.iter().map(|portal| session_of(work, portal).map(of_session)).collect()
}

fn connect(work: &Work) -> io::Result<()> {
    match work.kind {
        Kind::Nvme => return connect_controllers(work),
        Kind::Iscsi => log_in(work)?,
        // Nothing is logged in to.
        Kind::FibreChannel => {}
    }
    let ways = ways(work)?;
    for volume in 1..=work.volumes {
        for Way { host, target, .. } in &ways {
            fs::write(format!("/sys/class/scsi_host/host{host}/scan"), format!("0 {target} {volume}"))?;
        }
    }
    for volume in 1..=work.volumes {
        until(|| match disks_of(&ways, volume) {
            disks if disks.is_empty() => None,
            disks if work.multipath => disks.iter().find_map(|disk| map_of(disk)),
            mut disks => disks.pop(),
        })?;
    }
    Ok(())
}

/// One write for each portal, and every namespace is there.
fn connect_controllers(work: &Work) -> io::Result<()> {
    let connect = |portal: &String| -> io::Result<()> {
        let mut file = fs::OpenOptions::new().read(true).write(true).open("/dev/nvme-fabrics")?;
        let options = format!("nqn={},transport=tcp,traddr={portal},trsvcid={}", fabrics::NQN, fabrics::PORT);
        file.write_all(options.as_bytes())?;
        file.read(&mut [0; 256]).map(drop)
    };
    all_at_once(&work.portals, connect)?;
    until(|| (namespaces().len() as u64 == work.volumes).then_some(()))
}

fn namespaces() -> Vec<PathBuf> {
    entries("/sys/block".into()).into_iter().filter(|device| name(device).starts_with("nvme")).collect()
}

fn disconnect_controllers() -> io::Result<()> {
    all_at_once(&namespaces(), |device| fs::File::open(format!("/dev/{}", name(device)))?.sync_all())?;
    let controllers = entries("/sys/class/nvme".into());
    all_at_once(&controllers, |controller| fs::write(controller.join("delete_controller"), "1"))
}

fn all_at_once<T: Sync>(items: &[T], work: impl Fn(&T) -> io::Result<()> + Sync) -> io::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(Error::other("a thread ended"))))
    })
}

fn disconnect(work: &Work) -> io::Result<()> {
    if work.kind == Kind::Nvme {
        return disconnect_controllers();
    }
    let ways = ways(work)?;
    let disks: Vec<PathBuf> = (1..=work.volumes).flat_map(|volume| disks_of(&ways, volume)).collect();
    if work.multipath {
        let mut maps: Vec<PathBuf> = disks.iter().filter_map(|disk| map_of(disk)).collect();
        maps.sort();
        maps.dedup();
        in_parallel(maps.iter().map(|map| command("multipath", &["-f", &read(&map.join("dm/name"))])))?;
    } else {
        // What `blockdev --flushbufs` does needs no program.
        for disk in &disks {
            fs::File::open(format!("/dev/{}", name(disk)))?.sync_all()?;
        }
    }
    for disk in &disks {
        fs::write(disk.join("device/delete"), "1")?;
    }
    until(|| disks.iter().all(|disk| !disk.exists()).then_some(()))?;
    if work.kind == Kind::FibreChannel {
        return Ok(());
    }
    in_parallel(work.portals.iter().map(|portal| node_command(work, portal, "--logout")))?;
    for portal in &work.portals {
        records::new(&work.iqn, portal, PORT, "default", None).remove()?;
    }
    Ok(())
}

fn node_command(work: &Work, portal: &str, what: &str) -> Command {
    command("iscsiadm", &["-m", "node", "-T", &work.iqn, "-p", &format!("{portal}:{PORT}"), what])
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn in_parallel(commands: impl Iterator<Item = Command>) -> io::Result<()> {
    let children: Vec<_> = commands.map(|mut command| command.spawn()).collect::<io::Result<_>>()?;
    for mut child in children {
        if !child.wait()?.success() {
            return Err(Error::other("a program of the floor failed"));
        }
    }
    Ok(())
}

fn until<T>(probe: impl Fn() -> Option<T>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if start.elapsed() > PATIENCE {
            return Err(Error::from(io::ErrorKind::TimedOut));
        }
        std::thread::sleep(TICK);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn entries(directory: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The session's directory below /sys/devices.
fn session_of(work: &Work, portal: &str) -> io::Result<PathBuf> {
    let found = entries("/sys/class/iscsi_session".into()).into_iter().find(|session| {
        let number = name(session).replace("session", "");
        let connection = format!("/sys/class/iscsi_connection/connection{number}:0/persistent_address");
        read(&session.join("targetname")) == work.iqn && read(connection.as_ref()) == portal
    });
    fs::canonicalize(found.ok_or_else(|| Error::other("no session"))?.join("device"))
}

fn host_of(session: &Path) -> String {
    session.parent().map(|host| name(host).replace("host", "")).unwrap_or_default()
}

fn disks_of(ways: &[Way], volume: u64) -> Vec<PathBuf> {
    let blocks = ways.iter().map(|Way { directory, host, target }| {
        directory.join(format!("target{host}:0:{target}/{host}:0:{target}:{volume}/block"))
    });
    blocks.flat_map(entries).collect()
}

fn map_of(disk: &Path) -> Option<PathBuf> {
    let holders = entries(disk.join("holders"));
    let map = holders.into_iter().find(|map| read(&map.join("dm/uuid")).starts_with("mpath-"))?;
    fs::canonicalize(map).ok()
}
