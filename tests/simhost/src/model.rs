// SPDX-License-Identifier: Apache-2.0
//! The plain facts of the pretend host: sessions, ports, disks, maps, and how they are named.
//!
//! No input or output here.

/// What the volumes are reached over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Iscsi,
    /// The portals are ports of an array, whose LUNs are there without a login.
    FibreChannel,
    /// The LUNs are namespaces of one subsystem.
    Nvme,
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "iscsi" => Kind::Iscsi,
            "fc" => Kind::FibreChannel,
            "nvme" => Kind::Nvme,
            _ => return None,
        })
    }
}

/// What the simulated storage and the simulated programs are like; fixed for the daemon's life.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses the target answers on, without a port.
    pub portals: Vec<String>,
    pub targets: Vec<String>,
    /// LUNs 0 up to and including this one exist on every target.
    pub last_lun: u64,
    pub program_ns: u64,
    pub disk_ns: u64,
    pub map_ns: u64,
    pub join_ns: u64,
    pub kind: Kind,
    /// multipathd's `find_multipaths no`: a map for every disk, even with one path.
    pub greedy: bool,
    pub size: u64,
}

pub const PORT: u16 = 3260;

#[derive(Clone, Debug)]
pub struct Session {
    pub sid: u32,
    pub host: u32,
    pub iqn: String,
    pub address: String,
    pub port: u16,
    pub tpgt: u32,
}

impl Session {
    /// The session's directory below `/sys`.
    pub fn directory(&self) -> String {
        format!("devices/platform/host{}/session{}", self.host, self.sid)
    }

    /// `ADDRESS:PORT` with an IPv6 address in brackets.
    pub fn portal(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// A port of an array as a Fibre Channel port of this host knows it.
#[derive(Clone, Debug)]
pub struct Port {
    pub host: u32,
    /// The number of the SCSI target.
    pub id: u32,
    /// 16 hexadecimal digits.
    pub wwpn: String,
}

impl Port {
    pub fn name(&self) -> String {
        format!("rport-{}:0-{}", self.host, self.id)
    }

    pub fn directory(&self) -> String {
        format!("{}/{}", adapter_directory(self.host), self.name())
    }
}

/// The PCI address of a Fibre Channel port of this host.
pub fn adapter(host: u32) -> String {
    format!("0000:05:00.{host}")
}

/// The SCSI host of a Fibre Channel port, below `/sys`.
pub fn adapter_directory(host: u32) -> String {
    format!("devices/pci0000:00/0000:00:03.0/{}/host{host}", adapter(host))
}

/// All ports are of one array.
pub const ARRAY: &str = "array";

/// No host logs in as often.
const FIRST_PORT: u32 = 1_000_000;

/// What a disk is reached through.
#[derive(Clone, Debug)]
pub enum Behind {
    Session(Session),
    Port(Port),
}

impl Behind {
    /// The number of the session, or one no session has.
    pub fn key(&self) -> u32 {
        match self {
            Behind::Session(session) => session.sid,
            Behind::Port(port) => FIRST_PORT + port.host * 100 + port.id,
        }
    }

    /// What tells the LUNs of one array from those of another.
    pub fn storage(&self) -> &str {
        match self {
            Behind::Session(session) => &session.iqn,
            Behind::Port(_) => ARRAY,
        }
    }

    /// What multipathd shows as the target's name, and as the host's address.
    pub fn node_name(&self) -> String {
        match self {
            Behind::Session(session) => session.iqn.clone(),
            Behind::Port(port) => format!("0x{}", port.wwpn),
        }
    }

    pub fn address(&self) -> String {
        match self {
            Behind::Session(session) => session.address.clone(),
            Behind::Port(_) => "[undef]".to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Disk {
    pub index: u32,
    pub behind: Behind,
    pub lun: u64,
    /// The NAA identifier: 32 hexadecimal digits.
    pub naa: String,
    pub size: u64,
    pub diskseq: u64,
}

impl Disk {
    pub fn name(&self) -> String {
        disk_name(self.index)
    }

    /// `HOST:CHANNEL:TARGET`
    fn address(&self) -> String {
        match &self.behind {
            Behind::Session(session) => format!("{}:0:0", session.host),
            Behind::Port(port) => format!("{}:0:{}", port.host, port.id),
        }
    }

    pub fn hctl(&self) -> String {
        format!("{}:{}", self.address(), self.lun)
    }

    pub fn target(&self) -> String {
        format!("target{}", self.address())
    }

    pub fn target_directory(&self) -> String {
        let above = match &self.behind {
            Behind::Session(session) => session.directory(),
            Behind::Port(port) => port.directory(),
        };
        format!("{above}/{}", self.target())
    }

    /// The identity as udev and multipathd write it.
    pub fn wwid(&self) -> String {
        format!("3{}", self.naa)
    }

    /// The `scsi_device` directory below `/sys`.
    pub fn directory(&self) -> String {
        format!("{}/{}", self.target_directory(), self.hctl())
    }

    pub fn block_directory(&self) -> String {
        format!("{}/block/{}", self.directory(), self.name())
    }

    /// `MAJOR:MINOR` as the sd driver numbers its disks.
    pub fn dev(&self) -> String {
        let slot = (self.index & 0xf0) >> 4;
        let major = match slot {
            0 => 8,
            1..=7 => 64 + slot,
            _ => 120 + slot,
        };
        format!("{}:{}", major, ((self.index & 0xf) << 4) | (self.index & 0xf_ff00))
    }

    /// The name udev gives the disk below `/dev/disk/by-path`.
    pub fn by_path(&self) -> String {
        let lun = if self.lun < 256 {
            self.lun.to_string()
        } else {
            format!("0x{:04x}{:04x}00000000", self.lun & 0xffff, (self.lun >> 16) & 0xffff)
        };
        match &self.behind {
            Behind::Session(session) => {
                format!("ip-{}:{}-iscsi-{}-lun-{}", session.address, session.port, session.iqn, lun)
            }
            Behind::Port(port) => format!("pci-{}-fc-0x{}-lun-{}", adapter(port.host), port.wwpn, lun),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Map {
    pub index: u32,
    pub wwid: String,
    /// Names of the disks in the map, in the order they joined.
    pub paths: Vec<String>,
    pub size: u64,
    pub diskseq: u64,
}

impl Map {
    pub fn node(&self) -> String {
        format!("dm-{}", self.index)
    }
}

/// `sda`, `sdb` ... `sdz`, `sdaa` ...: the kernel's naming.
pub fn disk_name(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = i64::from(index);
    while rest >= 0 {
        letters.push(b'a' + (rest % 26) as u8);
        rest = rest / 26 - 1;
    }
    letters.reverse();
    format!("sd{}", String::from_utf8_lossy(&letters))
}

/// The NAA identifier of a LUN: the same on every portal, different for every LUN of every target.
pub fn naa_of(iqn: &str, lun: u64) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in iqn.bytes().chain(lun.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("6001405{:08x}{:017x}", lun as u32, hash)
}

/// What a write to a host's `scan` asks for: a LUN, or all of them.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan {
    All,
    Lun(u64),
}

/// Splits what came out of a `scan` FIFO into the single requests.
///
/// Two writes without a newline may arrive stuck together ("0 0 1" and "0 0 2" as "0 0 10 0 2").  The channel of an
/// iSCSI session or of a Fibre Channel port is always one character, so the last character of a word in a joint belongs to the next request.
pub fn parse_scans(data: &str) -> Vec<Scan> {
    parse_target_scans(data).into_iter().map(|(_, scan)| scan).collect()
}

/// The same with the number of the target that is asked for, if one is.
pub fn parse_target_scans(data: &str) -> Vec<(Option<u32>, Scan)> {
    let mut scans = Vec::new();
    for line in data.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut at = 2;
        while at < words.len() {
            let last = at + 1 >= words.len();
            let word = if last { words[at] } else { &words[at][..words[at].len() - 1] };
            let scan = word.parse().map_or(Scan::All, Scan::Lun);
            scans.push((words[at - 1].parse().ok(), scan));
            at += 2;
        }
    }
    scans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_named_as_the_kernel_names_them() {
        assert_eq!(disk_name(0), "sda");
        assert_eq!(disk_name(25), "sdz");
        assert_eq!(disk_name(26), "sdaa");
        assert_eq!(disk_name(701), "sdzz");
        assert_eq!(disk_name(702), "sdaaa");
    }

    #[test]
    fn scans_are_told_apart() {
        assert_eq!(parse_scans("0 0 1"), [Scan::Lun(1)]);
        assert_eq!(parse_scans("0 0 10 0 2"), [Scan::Lun(1), Scan::Lun(2)]);
        assert_eq!(parse_scans("0 0 1\n0 0 2\n"), [Scan::Lun(1), Scan::Lun(2)]);
        assert_eq!(parse_scans("- - -- - 7"), [Scan::All, Scan::Lun(7)]);
        let of_targets = parse_target_scans("0 1 10 12 3- - 4");
        assert_eq!(of_targets, [(Some(1), Scan::Lun(1)), (Some(12), Scan::Lun(3)), (None, Scan::Lun(4))]);
    }

    #[test]
    fn an_naa_identifier_has_32_digits() {
        assert_eq!(naa_of("iqn.x", 1).len(), 32);
        assert_ne!(naa_of("iqn.x", 1), naa_of("iqn.y", 1));
    }
}
