// SPDX-License-Identifier: Apache-2.0
//! Which program was called, and the small ones: tee, dd, blockdev, lsblk, lsscsi, scsi_id, sg_inq, udevadm, simctl.

use std::fs;
use std::io::Write;

use crate::host::{Host, Request};
use crate::model::{Disk, naa_of};
use crate::{fabrics, iscsiadm, kernel, multipath};

/// What a program prints and how it ends.
#[derive(Debug, Default, Clone)]
pub struct Reply {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Reply {
    pub fn out(text: &str) -> Reply {
        Reply { stdout: text.as_bytes().to_vec(), ..Reply::default() }
    }

    pub fn error(code: i32, text: &str) -> Reply {
        Reply { code, stderr: text.to_owned(), ..Reply::default() }
    }

    pub fn add(&mut self, text: &str) {
        self.stdout.extend_from_slice(text.as_bytes());
    }
}

/// The names the fake programs are installed under.
pub const PROGRAMS: &[&str] = &[
    "blockdev",
    "dd",
    "iscsiadm",
    "lsblk",
    "lsscsi",
    "multipath",
    "multipathd",
    "nvme",
    "scsi_id",
    "sg_inq",
    "simctl",
    "tee",
    "udevadm",
];

pub fn run(host: &mut Host, request: &Request) -> Reply {
    let argv = &request.argv;
    match argv.first().map_or("", String::as_str) {
        "iscsiadm" => iscsiadm::run(host, argv),
        "multipathd" => multipath::multipathd(host, argv),
        "multipath" => multipath::multipath(host, argv),
        "nvme" => fabrics::nvme(host, argv),
        "tee" => tee(host, argv, &request.stdin),
        "dd" => dd(argv),
        "blockdev" => blockdev(host, argv),
        "lsblk" => lsblk(host),
        "lsscsi" => lsscsi(host),
        "scsi_id" => identity(host, argv, |disk| format!("{}\n", disk.wwid()).into_bytes()),
        "sg_inq" => identity(host, argv, |disk| kernel::vpd_page_83(&disk.naa)),
        "simctl" => simctl(host, argv),
        _ => Reply::default(),
    }
}

fn tee(host: &mut Host, argv: &[String], stdin: &str) -> Reply {
    let mut reply = Reply::out(stdin);
    for path in argv[1..].iter().filter(|word| !word.starts_with('-')) {
        if let Err(error) = host.write(path, stdin) {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            reply.code = 1;
            reply.stderr.push_str(&format!("tee: {path}: {text}\n"));
        }
    }
    reply
}

/// On a generated tree nothing moves: what is written to a control file is added to it.
pub fn tee_alone(argv: &[String], stdin: &str) -> Reply {
    let mut reply = Reply::out(stdin);
    for path in argv[1..].iter().filter(|word| !word.starts_with('-')) {
        let opened = fs::OpenOptions::new().append(true).open(path);
        if let Err(error) = opened.and_then(|mut file| writeln!(file, "{stdin}")) {
            reply.code = 1;
            reply.stderr.push_str(&format!("tee: {path}: {error}\n"));
        }
    }
    reply
}

fn dd(argv: &[String]) -> Reply {
    let input = argv.iter().find_map(|word| word.strip_prefix("if=")).unwrap_or("/dev/null");
    match fs::metadata(input) {
        Ok(_) => Reply {
            stderr: "1+0 records in\n1+0 records out\n512 bytes copied, 0.0003 s, 1.7 MB/s\n".to_owned(),
            ..Reply::default()
        },
        Err(_) => Reply::error(1, &format!("dd: failed to open '{input}': No such file or directory\n")),
    }
}

/// The name below /dev that a path leads to.
fn node_of(path: &str) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn blockdev(host: &Host, argv: &[String]) -> Reply {
    let path = argv.last().map_or("", String::as_str);
    let node = node_of(path);
    let disk = host.disks.get(&node).map(|disk| disk.size);
    let of_map = || host.find_map(&node).map(|map| map.size);
    let Some(size) = disk.or_else(of_map).or_else(|| host.namespace_size(&node)) else {
        return Reply::error(1, &format!("blockdev: cannot open {path}: No such file or directory\n"));
    };
    match argv.get(1).map_or("", String::as_str) {
        "--getsize64" => Reply::out(&format!("{size}\n")),
        "--getsz" => Reply::out(&format!("{}\n", size / 512)),
        "--getro" => Reply::out("0\n"),
        _ => Reply::default(),
    }
}

fn lsblk(host: &Host) -> Reply {
    let mut reply = Reply::default();
    for disk in host.disks.values() {
        reply.add(&format!("{:<40} 0\n", disk.name()));
        if let Some(map) = host.map_of(&disk.wwid()) {
            reply.add(&format!("{:<40} 0\n", map.wwid));
        }
    }
    reply
}

fn lsscsi(host: &Host) -> Reply {
    let mut reply = Reply::default();
    for disk in host.disks.values() {
        reply.add(&format!("[{}]    disk    LIO-ORG  disk             4.0   /dev/{} \n", disk.hctl(), disk.name()));
    }
    reply
}

fn identity(host: &Host, argv: &[String], print: impl Fn(&Disk) -> Vec<u8>) -> Reply {
    let node = node_of(argv.last().map_or("", String::as_str));
    let disk = host.disks.get(&node).or_else(|| {
        let map = host.find_map(&node)?;
        host.disks.get(map.paths.first()?)
    });
    match disk {
        Some(disk) => Reply { stdout: print(disk), ..Reply::default() },
        None => Reply::error(1, ""),
    }
}

/// What `scsi_id` prints of a disk, or of a map by its first path, from the files of a generated tree.
pub fn identity_in_sysfs(argv: &[String]) -> Option<Reply> {
    let node = node_of(argv.last()?);
    let below = format!("/sys/block/{node}/slaves");
    let path = fs::read_dir(below).into_iter().flatten().flatten().next();
    let disk = path.map_or(node, |path| path.file_name().to_string_lossy().into_owned());
    let wwid = fs::read_to_string(format!("/sys/block/{disk}/device/wwid")).ok()?;
    Some(Reply::out(&format!("3{}\n", wwid.trim().strip_prefix("naa.")?)))
}

/// Questions and orders to the simulator itself; they cost no simulated time.
fn simctl(host: &mut Host, argv: &[String]) -> Reply {
    let words: Vec<&str> = argv[1..].iter().map(String::as_str).collect();
    match words.as_slice() {
        // Start, end and name of everything since the last call.
        ["trace"] => {
            let trace = std::mem::take(&mut host.trace);
            Reply::out(
                &trace
                    .iter()
                    .map(|step| format!("{}\t{}\t{}\n", step.start_ns, step.end_ns, step.what))
                    .collect::<String>(),
            )
        }
        ["state"] => Reply::out(&format!(
            "sessions {}\ncontrollers {}\ndisks {}\nmaps {}\nrecords {}\nwwids {}\n",
            host.sessions.len(),
            host.fabrics.count(),
            host.disks.len(),
            host.maps.len(),
            crate::records::all().len(),
            crate::wwids::known_wwids().len()
        )),
        // What the storage serves nobody any more.
        ["unmap"] => host.disconnect_all().into(),
        ["grow", iqn, lun, size] => match (lun.parse::<u64>(), size.parse::<u64>()) {
            (Ok(lun), Ok(size)) => {
                host.grown.insert(naa_of(iqn, lun), size);
                Reply::default()
            }
            _ => Reply::error(2, "simctl grow IQN LUN BYTES\n"),
        },
        _ => Reply::error(2, "simctl trace | state | unmap | grow IQN LUN BYTES\n"),
    }
}
