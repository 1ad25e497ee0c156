//! Adapters and machines of all kinds: FCoE, platforms that are no PCs, IBM Z and POWER, as their sysfs was seen.

use serde_json::json;

use crate::check::{multipath, single};
use crate::fc_check::{HOST_A, W, Y, attach, connect, detach, extend, mainframe, units, volume, volume_paths};
use crate::support::{FakeHost, Trouble, Volume};

/// The device of the adapter, udev's prefix, and the machine.
const ADAPTERS: [(&str, &str); 4] = [
    // FC-18: FCoE
    ("/sys/devices/pci0000:20/0000:20:03.0/0000:21:00.2/net/ens2f2/ctlr_2", "pci-0000:21:00.2-"),
    // FC-19: a server with ARM processors
    (
        "/sys/devices/platform/smb/smb:motherboard/80040000000.peu0-c0/pci0000:00/0000:00:03.0/0000:05:00.3",
        "platform-80040000000.peu0-c0-pci-0000:05:00.3-",
    ),
    // POWER: a virtual adapter, and a real one
    ("/sys/devices/vio/30000003", ""),
    ("/sys/devices/pci0001:00/0001:00:00.0/0001:01:00.0", "pci-0001:01:00.0-"),
];

/// FC-18, FC-19, FC-29, FC-30, X-01
#[test]
fn x_01_the_volume_is_found_on_adapters_of_all_kinds() {
    for (device, prefix) in ADAPTERS {
        let fake = FakeHost::new();
        let host = fake.fc_host_at(device, prefix, HOST_A);
        fake.fc_port(host, W);
        fake.fc_map(&[W], 300, &Volume::number(1));
        let properties = volume(&[W], 300);
        let expected = format!("/dev/disk/by-path/{prefix}fc-0x{W}-lun-0x012c000000000000");
        assert_eq!(attach(&fake, &properties, &single()).path, expected);
        assert_eq!(volume_paths(&fake, &properties, &single()), [expected]);
        assert_eq!(extend(&fake, &properties, &single()), Ok(crate::support::storage::GIB));
        detach(&fake, &properties, &single());
        fake.assert_clean();
    }
}

/// Two virtual adapters see one port: udev has one name for both disks.
#[test]
fn fc_30_two_disks_with_one_name_are_one_volume() {
    let fake = FakeHost::new();
    let hosts = ["30000003", "30000004"].map(|slot| fake.fc_host_at(&format!("/sys/devices/vio/{slot}"), "", HOST_A));
    hosts.iter().for_each(|host| {
        fake.fc_port(*host, W);
    });
    fake.fc_map(&[W], 5, &Volume::number(1));
    let properties = json!({"target_wwn": W.to_uppercase(), "target_lun": 5, "initiator_target_map": {HOST_A: [W]}});
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.slaves(), ["sda", "sdb"]);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// FC-27: the driver is asked to look for ports; FC-28, FC-29: the name of Debian and Ubuntu.
#[test]
fn fc_27_on_ibm_z_luns_become_units_and_units_disks() {
    let (fake, _) = mainframe();
    fake.fc_map(&[W], 5, &Volume::number(1));
    let properties = volume(&[W], 5);
    let attachment = attach(&fake, &properties, &single());
    assert_eq!(attachment.path, format!("/dev/disk/by-path/ccw-0.0.1700-fc-0x{W}-lun-5"));
    let zfcp = "/sys/bus/ccw/drivers/zfcp";
    assert_eq!(
        fake.done(zfcp)[..2],
        [
            format!("write 1 > {zfcp}/0.0.1700/port_rescan"),
            format!("write 0x0005000000000000 > {zfcp}/0.0.1700/0x{W}/unit_add"),
        ]
    );
    fake.forget_journal();
    detach(&fake, &properties, &single());
    assert_eq!(
        fake.done(zfcp),
        [format!("write 0x0005000000000000 > {zfcp}/0.0.1700/0x{W}/unit_remove")],
        "only what is a unit is removed"
    );
    assert_eq!(units(&fake), 0);
    fake.assert_clean();
}

/// over all adapters, and LUNs of 32 bits as DS8000 arrays have them.
#[test]
fn x_01_on_ibm_z_a_wide_lun_becomes_a_map() {
    let (fake, _) = mainframe();
    // 0x40100011 as the address 0x4010001100000000 is the kernel's 0x00114010.
    fake.fc_map(&[W, Y], 0x0011_4010, &Volume::number(1));
    let properties = volume(&[W, Y], 0x4010_0011);
    let attachment = attach(&fake, &properties, &multipath());
    assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
    assert_eq!(fake.slaves().len(), 2);
    let expected = [("0.0.1700", W), ("0.0.1780", Y)]
        .map(|(adapter, port)| format!("/dev/disk/by-path/ccw-{adapter}-fc-0x{port}-lun-0x4010001100000000"));
    assert_eq!(volume_paths(&fake, &properties, &multipath()), expected);
    assert_eq!(fake.done("unit_add").iter().filter(|line| line.contains("0x4010001100000000")).count(), 4);
    detach(&fake, &properties, &multipath());
    assert_eq!(units(&fake), 0);
    fake.assert_clean();
}

/// FC-28: RHEL's name for the same.
#[test]
fn fc_28_the_names_of_every_distribution_are_known() {
    for link in ["ccw-0.0.1700-zfcp-0x{W}:0x0005000000000000", "ccw-0.0.1700-fc-0x{W}-lun-0x0005000000000000"] {
        let (fake, _) = mainframe();
        fake.fc_map(&[W], 5, &Volume::number(1));
        let properties = volume(&[W], 5);
        attach(&fake, &properties, &single());
        let link = format!("/dev/disk/by-path/{}", link.replace("{W}", W));
        fake.tree().remove(&format!("/dev/disk/by-path/ccw-0.0.1700-fc-0x{W}-lun-5"));
        fake.tree().link(&link, "/dev/sda");
        assert_eq!(volume_paths(&fake, &properties, &single()), [link]);
    }
}

/// FC-27: what the driver refuses is a warning; an adapter that scans by itself has no units.
#[test]
fn fc_27_a_driver_that_refuses_does_not_end_the_attach() {
    let (fake, _) = mainframe();
    fake.fc_map(&[W], 5, &Volume::number(1));
    fake.trouble("port_rescan", Trouble::Refused);
    fake.tree().write(&format!("/sys/bus/ccw/drivers/zfcp/0.0.1700/0x{W}/unit_add"), "");
    fake.tree().write(&format!("/sys/bus/ccw/drivers/zfcp/0.0.1780/0x{W}/unit_add"), "");
    fake.trouble("0.0.1780", Trouble::Refused);
    attach(&fake, &volume(&[W], 5), &single());
    detach(&fake, &volume(&[W], 5), &single());
}

/// FC-22: an adapter of IBM Z that is offline is none.
#[test]
fn fc_22_an_adapter_that_is_offline_is_no_way() {
    let (fake, hosts) = mainframe();
    hosts.iter().for_each(|host| fake.fc_host_state(*host, "Offline"));
    let error = connect(&fake, &volume(&[W], 5), &single()).expect_err("nobody is online");
    assert_eq!(error, os_brick_engine::error::Error::NoFibreChannelHosts);
    assert_eq!(fake.journal(), Vec::<String>::new());
}
