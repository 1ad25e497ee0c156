// SPDX-License-Identifier: Apache-2.0
//! What a session and a disk look like in sysfs and in /dev: the layout of Linux 6.1 with iscsi_tcp and udev.
//!
//! Only the writing of the files; when they come and go is decided in `host.rs`.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::fabric;
use crate::model::{Behind, Disk, Session};
use crate::tree::Tree;

/// The directories that exist before the first session.
pub fn base(tree: &Tree) -> io::Result<()> {
    tree.prepare()?;
    for class in [
        "block",
        "iscsi_connection",
        "iscsi_host",
        "iscsi_session",
        "iscsi_transport",
        "scsi_device",
        "scsi_disk",
        "scsi_generic",
        "scsi_host",
    ] {
        tree.directory(&format!("class/{class}"), &[])?;
    }
    for name in [
        "block",
        "bus/scsi/devices",
        "bus/scsi/drivers/sd",
        "dev/block",
        "devices/platform",
        "devices/virtual/block",
        "module/dm_multipath",
        "module/iscsi_tcp",
        "module/scsi_mod",
    ] {
        tree.directory(name, &[])?;
    }
    let tcp = "devices/virtual/iscsi_transport/tcp";
    tree.directory(tcp, &[("caps", "0x39"), ("handle", "18446744072639234240")])?;
    tree.link("class/iscsi_transport/tcp", tcp)?;
    tree.link(&format!("{tcp}/subsystem"), "class/iscsi_transport")?;
    for kind in ["disk/by-path", "disk/by-id", "mapper"] {
        fs::create_dir_all(tree.dev(kind))?;
    }
    fs::write(tree.dev("mapper/control"), "")
}

/// A class device's directory below its parent, with `device` and `subsystem`.
fn class_directory(
    tree: &Tree,
    parent: &str,
    class: &str,
    name: &str,
    attributes: &[(&str, &str)],
) -> io::Result<String> {
    let directory = format!("{parent}/{class}/{name}");
    tree.directory(&directory, attributes)?;
    tree.link(&format!("{directory}/device"), parent)?;
    tree.link(&format!("{directory}/subsystem"), &format!("class/{class}"))?;
    Ok(directory)
}

/// A class device with its link in `class/`.
pub fn class_device(
    tree: &Tree,
    parent: &str,
    class: &str,
    name: &str,
    attributes: &[(&str, &str)],
) -> io::Result<String> {
    let directory = class_directory(tree, parent, class, name, attributes)?;
    tree.link(&format!("class/{class}/{name}"), &directory)?;
    Ok(directory)
}

/// A session with its host and connection; gives the path of the host's `scan`.
pub fn add_session(tree: &Tree, session: &Session, initiator: &str) -> io::Result<PathBuf> {
    let host_name = format!("host{}", session.host);
    let host = format!("devices/platform/{host_name}");
    tree.directory(&host, &[("uevent", "DEVTYPE=scsi_host")])?;
    tree.link(&format!("{host}/subsystem"), "bus/scsi")?;
    tree.link(&format!("bus/scsi/devices/{host_name}"), &host)?;
    let number = session.host.to_string();
    let scsi_host = class_device(
        tree,
        &host,
        "scsi_host",
        &host_name,
        &[
            ("active_mode", "Initiator"),
            ("can_queue", "113"),
            ("cmd_per_lun", "32"),
            ("eh_deadline", "off"),
            ("host_busy", "0"),
            ("nr_hw_queues", "1"),
            ("proc_name", "iscsi_tcp"),
            ("prot_capabilities", "0"),
            ("prot_guard_type", "0"),
            ("sg_prot_tablesize", "0"),
            ("sg_tablesize", "4096"),
            ("state", "running"),
            ("supported_mode", "Initiator"),
            ("unique_id", &number),
            ("use_blk_mq", "1"),
        ],
    )?;
    tree.control(&format!("{scsi_host}/scan"), true)?;
    class_device(
        tree,
        &host,
        "iscsi_host",
        &host_name,
        &[("hwaddress", "(null)"), ("initiatorname", initiator), ("ipaddress", &session.address), ("netdev", "(null)")],
    )?;
    let directory = session.directory();
    tree.directory(&directory, &[("uevent", "")])?;
    iscsi_session(tree, session, initiator, &directory)?;
    iscsi_connection(tree, session, &directory)?;
    Ok(tree.sys(&format!("{scsi_host}/scan")))
}

fn iscsi_session(tree: &Tree, session: &Session, initiator: &str, directory: &str) -> io::Result<()> {
    let tpgt = session.tpgt.to_string();
    class_device(
        tree,
        directory,
        "iscsi_session",
        &format!("session{}", session.sid),
        &[
            ("abort_tmo", "15"),
            ("creator", "742"),
            ("data_pdu_in_order", "1"),
            ("data_seq_in_order", "1"),
            ("erl", "0"),
            ("fast_abort", "1"),
            ("first_burst_len", "65536"),
            ("ifacename", "default"),
            ("immediate_data", "1"),
            ("initial_r2t", "0"),
            ("initiatorname", initiator),
            ("lu_reset_tmo", "30"),
            ("max_burst_len", "262144"),
            ("max_outstanding_r2t", "1"),
            ("password", "(null)"),
            ("password_in", "(null)"),
            ("recovery_tmo", "120"),
            ("state", "LOGGED_IN"),
            ("target_id", "0"),
            ("target_state", "SCANNED"),
            ("targetalias", "(null)"),
            ("targetname", &session.iqn),
            ("tgt_reset_tmo", "30"),
            ("tpgt", &tpgt),
            ("username", "(null)"),
            ("username_in", "(null)"),
        ],
    )?;
    Ok(())
}

fn iscsi_connection(tree: &Tree, session: &Session, directory: &str) -> io::Result<()> {
    let name = format!("connection{}:0", session.sid);
    let parent = format!("{directory}/{name}");
    tree.directory(&parent, &[("uevent", "")])?;
    let port = session.port.to_string();
    class_device(
        tree,
        &parent,
        "iscsi_connection",
        &name,
        &[
            ("address", &session.address),
            ("data_digest", "0"),
            ("header_digest", "0"),
            ("ifmarker", "0"),
            ("local_ipaddr", &session.address),
            ("max_recv_dlength", "262144"),
            ("max_xmit_dlength", "262144"),
            ("ofmarker", "0"),
            ("persistent_address", &session.address),
            ("persistent_port", &port),
            ("ping_tmo", "5"),
            ("port", &port),
            ("recv_tmo", "5"),
            ("state", "up"),
        ],
    )?;
    Ok(())
}

/// The session's disks must be gone already.
pub fn remove_session(tree: &Tree, session: &Session) {
    tree.unlink(&format!("class/iscsi_session/session{}", session.sid));
    tree.unlink(&format!("class/iscsi_connection/connection{}:0", session.sid));
    tree.remove_all(&session.directory());
    let host = format!("host{}", session.host);
    tree.unlink(&format!("class/scsi_host/{host}"));
    tree.unlink(&format!("class/iscsi_host/{host}"));
    tree.unlink(&format!("bus/scsi/devices/{host}"));
    tree.remove_all(&format!("devices/platform/{host}"));
}

/// Makes the disk's directory aside, so that it costs no time when the disk appears.
///
/// `fifos`: whether `delete` and `rescan` are FIFOs.
pub fn prepare_disk(tree: &Tree, disk: &Disk, fifos: bool) -> io::Result<()> {
    tree.stage(&disk.directory(), || scsi_device(tree, disk, fifos))
}

/// The disk appears, with its device node and its by-path link; gives the paths of `delete` and `rescan`.
pub fn add_disk(tree: &Tree, disk: &Disk) -> io::Result<(PathBuf, PathBuf)> {
    let directory = disk.directory();
    let (target_name, target) = (disk.target(), disk.target_directory());
    if !tree.sys(&target).exists() {
        tree.directory(&target, &[("uevent", "DEVTYPE=scsi_target")])?;
        tree.link(&format!("{target}/subsystem"), "bus/scsi")?;
        tree.link(&format!("bus/scsi/devices/{target_name}"), &target)?;
        if let Behind::Port(port) = &disk.behind {
            fabric::add_target(tree, port, &target_name, &target)?;
        }
    }
    tree.reveal(&directory)?;
    for (link, below) in disk_links(disk) {
        tree.link(&link, &format!("{directory}{below}"))?;
    }
    tree.node(&disk.name(), disk.size)?;
    tree.udev_link("by-path", &disk.by_path(), &disk.name())?;
    Ok((tree.sys(&format!("{directory}/delete")), tree.sys(&format!("{directory}/rescan"))))
}

/// The links to a disk from elsewhere in sysfs, and where below the disk's directory they lead.
fn disk_links(disk: &Disk) -> Vec<(String, String)> {
    let (name, hctl, generic) = (disk.name(), disk.hctl(), format!("sg{}", disk.index));
    let block = format!("/block/{name}");
    vec![
        (format!("bus/scsi/devices/{hctl}"), String::new()),
        (format!("bus/scsi/drivers/sd/{hctl}"), String::new()),
        (format!("class/scsi_device/{hctl}"), format!("/scsi_device/{hctl}")),
        (format!("class/scsi_disk/{hctl}"), format!("/scsi_disk/{hctl}")),
        (format!("class/scsi_generic/{generic}"), format!("/scsi_generic/{generic}")),
        (format!("block/{name}"), block.clone()),
        (format!("class/block/{name}"), block.clone()),
        (format!("dev/block/{}", disk.dev()), block),
    ]
}

fn scsi_device(tree: &Tree, disk: &Disk, fifos: bool) -> io::Result<()> {
    let directory = disk.directory();
    let hctl = disk.hctl();
    tree.directory(
        &directory,
        &[
            ("device_blocked", "0"),
            ("device_busy", "0"),
            ("eh_timeout", "10"),
            ("iodone_cnt", "0x1a"),
            ("ioerr_cnt", "0x1"),
            ("iorequest_cnt", "0x1a"),
            ("model", "disk            "),
            ("modalias", "scsi:t-0x00"),
            ("queue_depth", "32"),
            ("queue_type", "none"),
            ("rev", "4.0 "),
            ("scsi_level", "6"),
            ("state", "running"),
            ("timeout", "30"),
            ("type", "0"),
            ("uevent", "DEVTYPE=scsi_device\nDRIVER=sd\nMODALIAS=scsi:t-0x00"),
            ("vendor", "LIO-ORG "),
            ("wwid", &format!("naa.{}", disk.naa)),
        ],
    )?;
    fs::write(tree.sys(&format!("{directory}/vpd_pg83")), vpd_page_83(&disk.naa))?;
    fs::write(tree.sys(&format!("{directory}/vpd_pg80")), vpd_page_80(&disk.naa))?;
    tree.control(&format!("{directory}/delete"), fifos)?;
    tree.control(&format!("{directory}/rescan"), fifos)?;
    tree.link(&format!("{directory}/subsystem"), "bus/scsi")?;
    tree.link(&format!("{directory}/driver"), "bus/scsi/drivers/sd")?;
    class_directory(tree, &directory, "scsi_device", &hctl, &[])?;
    class_directory(
        tree,
        &directory,
        "scsi_disk",
        &hctl,
        &[("cache_type", "write back"), ("provisioning_mode", "unmap")],
    )?;
    let generic = format!("sg{}", disk.index);
    class_directory(tree, &directory, "scsi_generic", &generic, &[("dev", &format!("21:{}", disk.index))])?;
    tree.link(&format!("{directory}/generic"), &format!("{directory}/scsi_generic/{generic}"))?;
    block_device(tree, &disk.name(), &disk.block_directory(), &disk.dev(), disk.size, disk.diskseq)?;
    tree.link(&format!("{}/device", disk.block_directory()), &directory)
}

/// What a disk and a map have in common below their block directory.
pub fn block_device(tree: &Tree, name: &str, directory: &str, dev: &str, size: u64, diskseq: u64) -> io::Result<()> {
    let (major, minor) = dev.split_once(':').unwrap_or((dev, "0"));
    let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\nDEVTYPE=disk\nDISKSEQ={diskseq}");
    tree.directory(
        directory,
        &[
            ("alignment_offset", "0"),
            ("dev", dev),
            ("diskseq", &diskseq.to_string()),
            ("hidden", "0"),
            ("range", "16"),
            ("removable", "0"),
            ("ro", "0"),
            ("size", &(size / 512).to_string()),
            ("uevent", &uevent),
            (
                "stat",
                "      26        0      848        4        0        0        0        0        0        4        4",
            ),
        ],
    )?;
    tree.directory(
        &format!("{directory}/queue"),
        &[
            ("hw_sector_size", "512"),
            ("logical_block_size", "512"),
            ("max_sectors_kb", "8192"),
            ("nr_requests", "128"),
            ("physical_block_size", "512"),
            ("rotational", "0"),
            ("scheduler", "[none] mq-deadline"),
            ("write_cache", "write back"),
        ],
    )?;
    tree.directory(&format!("{directory}/holders"), &[])?;
    tree.directory(&format!("{directory}/slaves"), &[])?;
    tree.link(&format!("{directory}/subsystem"), "class/block")
}

pub fn remove_disk(tree: &Tree, disk: &Disk, last_of_target: bool) {
    tree.remove_udev_link("by-path", &disk.by_path());
    let _ = fs::remove_file(tree.dev(&disk.name()));
    for (link, _) in disk_links(disk) {
        tree.unlink(&link);
    }
    tree.remove_all(&disk.directory());
    if last_of_target {
        tree.unlink(&format!("bus/scsi/devices/{}", disk.target()));
        tree.unlink(&format!("class/fc_transport/{}", disk.target()));
        tree.remove_all(&disk.target_directory());
    }
}

fn bytes_of(naa: &str) -> Vec<u8> {
    (0..naa.len() / 2).filter_map(|at| u8::from_str_radix(&naa[at * 2..at * 2 + 2], 16).ok()).collect()
}

/// Device identification as LIO gives it: NAA, T10 vendor, relative port and target port group.
pub fn vpd_page_83(naa: &str) -> Vec<u8> {
    let mut designators = vec![0x01, 0x03, 0x00, 0x10];
    designators.extend(bytes_of(naa));
    let vendor = format!("LIO-ORG disk:{}", &naa[7..]);
    designators.extend([0x02, 0x01, 0x00, vendor.len() as u8]);
    designators.extend(vendor.bytes());
    designators.extend([0x51, 0x94, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01]);
    designators.extend([0x51, 0x95, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00]);
    page(0x83, &designators)
}

fn vpd_page_80(naa: &str) -> Vec<u8> {
    page(0x80, &naa.as_bytes()[7..])
}

fn page(code: u8, content: &[u8]) -> Vec<u8> {
    let mut page = vec![0x00, code, (content.len() >> 8) as u8, content.len() as u8];
    page.extend(content);
    page
}
