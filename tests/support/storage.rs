//! The storage side, as data: volumes, targets, portals, and what LUN maps what.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::vpd;

pub const GIB: u64 = 1024 * 1024 * 1024;

/// What a LUN shows: identities as the kernel and udev have them, and a size.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// `device/wwid`
    pub sysfs_wwid: Option<String>,
    /// `device/vpd_pg83`
    pub page: Option<Vec<u8>>,
    /// What udev's `scsi_id` makes of it: the name of the by-id link and of the map.
    pub udev_id: Option<String>,
    pub size: u64,
}

impl Volume {
    /// A volume of LIO with a registered extended NAA identity, 32 hexadecimal digits.
    pub fn naa(hex: &str) -> Volume {
        Volume {
            sysfs_wwid: Some(format!("naa.{hex}")),
            page: Some(vpd::lio(&vpd::bytes(hex), &hex[..8], "iqn.2003-01.org.linux-iscsi:lio")),
            udev_id: Some(format!("3{hex}")),
            size: GIB,
        }
    }

    /// One of the volumes tests use; the same number is the same volume.
    pub fn number(number: u8) -> Volume {
        Volume::naa(&format!("6001405{number:025x}"))
    }

    /// A disk that answers no VPD page at all.
    pub fn without_identity() -> Volume {
        Volume { sysfs_wwid: None, page: None, udev_id: None, size: GIB }
    }

    /// A disk with a T10 identity only: udev rewrites its blanks, so only udev's link names it.
    pub fn t10(text: &str) -> Volume {
        let page = vpd::page83(&[vpd::Designator { code_set: 2, association: 0, kind: 1, value: text.as_bytes() }]);
        Volume {
            sysfs_wwid: None,
            page: Some(page),
            udev_id: Some(format!("1{}", text.split_whitespace().collect::<Vec<_>>().join("_"))),
            size: GIB,
        }
    }

    pub fn sized(self, size: u64) -> Volume {
        Volume { size, ..self }
    }

    /// The identity as `connect_volume` returns it.
    pub fn id(&self) -> String {
        self.udev_id.clone().unwrap_or_default()
    }
}

pub struct Target {
    pub iqn: String,
    /// The portals that lead to it, as the properties name them.
    pub portals: Vec<String>,
    /// By the kernel's number of the LUN.
    pub luns: BTreeMap<u64, Volume>,
    pub chap: Option<(String, String)>,
}

/// A portal: alive ones of our own addresses have a listening socket.
pub struct Portal {
    /// Without brackets.
    pub address: String,
    pub port: u16,
    pub alive: bool,
    listener: Option<TcpListener>,
}

/// An address and port as iscsiadm prints them: brackets around IPv6.
pub fn portal_name(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// The address without brackets and the port.
pub fn split_portal(name: &str) -> (String, u16) {
    let (address, port) = name.rsplit_once(':').expect("a portal has a port");
    (address.trim_matches(['[', ']']).to_owned(), port.parse().expect("a port is a number"))
}

fn same_address(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

impl Portal {
    /// As iscsiadm and the properties spell it.
    pub fn name(&self) -> String {
        portal_name(&self.address, self.port)
    }

    /// A listening portal on an address no other test has: what the engine remembers of portals is per process.
    pub fn listening() -> Portal {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + 1;
        let [_, a, b, c] = (number + (std::process::id() << 12)).to_be_bytes();
        let address = Ipv4Addr::new(127, a | 1, b, c);
        let listener = TcpListener::bind((address, 0)).expect("a loopback address can be bound");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        Portal { address: address.to_string(), port, alive: true, listener: Some(listener) }
    }

    /// A portal that TCP cannot reach from here: for adapters and iSER, whose portals are not probed.
    pub fn elsewhere(address: &str, port: u16) -> Portal {
        Portal { address: address.to_owned(), port, alive: true, listener: None }
    }

    pub fn stop(&mut self) {
        self.alive = false;
        self.listener = None;
    }

    pub fn start(&mut self) {
        let listener = TcpListener::bind((self.address.as_str(), self.port));
        self.listener = Some(listener.expect("nobody else has the address"));
        self.alive = true;
    }
}

#[derive(Default)]
pub struct Storage {
    pub portals: Vec<Portal>,
    pub targets: Vec<Target>,
    /// What ports of Fibre Channel arrays show, by the kernel's number of the LUN.
    pub fc_luns: BTreeMap<(String, u64), Volume>,
    /// What a discovery has to know, when the storage asks for it.
    pub discovery_chap: Option<(String, String)>,
}

impl Storage {
    /// The portal a name reaches, however the address is spelled.
    pub fn portal(&self, name: &str) -> Option<&Portal> {
        let (address, port) = split_portal(name);
        self.portals.iter().find(|portal| portal.port == port && same_address(&portal.address, &address))
    }

    pub fn portal_mut(&mut self, name: &str) -> &mut Portal {
        self.portals.iter_mut().find(|portal| portal.name() == name).expect("a portal of this test")
    }

    pub fn target(&self, iqn: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.iqn == iqn)
    }

    pub fn target_mut(&mut self, iqn: &str) -> &mut Target {
        self.targets.iter_mut().find(|target| target.iqn == iqn).expect("a target of this test")
    }

    pub fn volume(&self, iqn: &str, lun: u64) -> Option<Volume> {
        self.target(iqn)?.luns.get(&lun).cloned()
    }
}
