//! What is scanned: the addresses of the volume, on the ports that lead there, and no more than needed.

use serde_json::json;

use crate::check::{merged, multipath, single};
use crate::fc_check::{
    HOST_A, HOST_B, W, X, Y, Z, attach, detach, one_fabric, scan, scan_plan, scans, two_fabrics, volume,
};
use crate::support::{FakeHost, Volume};

/// FC-04, FC-10, FC-12: each host port scans what it has met of the map, whatever the case of the names.
#[test]
fn fc_08_a_map_of_everything_scans_what_each_port_has_met() {
    let (fake, a, b) = two_fabrics();
    let all = json!([W.to_uppercase(), X.to_uppercase(), Y.to_uppercase(), Z.to_uppercase()]);
    let map = json!({HOST_A.to_uppercase(): all, HOST_B.to_uppercase(): all});
    let properties = json!({"target_wwn": all, "target_lun": 5, "initiator_target_map": map});
    attach(&fake, &properties, &multipath());
    assert_eq!(scans(&fake), [scan(a, "0 0 5"), scan(b, "0 0 5"), scan(a, "0 1 5"), scan(b, "0 1 5")]);
    assert_eq!(fake.slaves().len(), 4);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// FC-03: the other LUNs of the ports stay what they are.
#[test]
fn fc_03_only_the_lun_asked_for_is_scanned() {
    let (fake, a, _) = two_fabrics();
    fake.fc_map(&[W], 6, &Volume::number(6));
    attach(&fake, &volume(&[W], 5), &single());
    assert_eq!(scans(&fake), [scan(a, "0 0 5")]);
    assert_eq!(fake.disks(), ["sda"]);
}

/// A single path needs one disk: the second port is for when the first leads nowhere.
#[test]
fn a_single_path_scans_until_there_is_a_disk() {
    let (fake, a, b) = two_fabrics();
    attach(&fake, &volume(&[W, Y], 5), &single());
    assert_eq!(scans(&fake), [scan(a, "0 0 5")]);
    let (fake, ..) = two_fabrics();
    fake.fc_map(&[Y], 9, &Volume::number(9));
    attach(&fake, &volume(&[W, Y], 9), &single());
    assert_eq!(scans(&fake), [scan(a, "0 0 9"), scan(b, "0 0 9")]);
}

/// FC-07: a map that names host ports which lead elsewhere, or no map at all.
#[test]
fn fc_05_host_ports_that_met_no_port_of_the_volume_are_not_scanned() {
    for with_map in [true, false] {
        let (fake, a, _) = two_fabrics();
        let map = json!({HOST_A: [W, X], HOST_B: [W, X]});
        let properties = merged(&volume(&[W, X], 5), &json!({"initiator_target_map": with_map.then_some(map)}));
        attach(&fake, &properties, &multipath());
        assert_eq!(scans(&fake), [scan(a, "0 0 5"), scan(a, "0 1 5")]);
    }
}

#[test]
fn fc_05_host_ports_a_map_leaves_out_are_not_scanned() {
    let (fake, a, b) = two_fabrics();
    let map = json!({"initiator_target_map": {HOST_A: [W]}});
    let properties = merged(&volume(&[W, X, Y, Z], 5), &map);
    assert_eq!(scan_plan(&fake, &properties, &[a, b]), [format!("host{a} 0 0 5")]);
    let with_luns = json!({"initiator_target_lun_map": {HOST_B: [[Y, 5]]}});
    let properties = merged(&volume(&[W, X, Y, Z], 5), &with_luns);
    assert_eq!(scan_plan(&fake, &properties, &[a, b]), [format!("host{b} 0 0 5")]);
    assert_eq!(scan_plan(&fake, &properties, &[a]), Vec::<String>::new());
}

/// FC-06: nobody has met the ports, so channel and target are left to the kernel, the LUN never.
#[test]
fn fc_06_ports_nobody_has_met_are_looked_for_with_the_lun() {
    let fake = FakeHost::new();
    let (a, b) = (fake.fc_host(HOST_A), fake.fc_host(HOST_B));
    let properties = json!({"target_wwns": [W, X], "target_luns": [5, 6]});
    let expected =
        [format!("host{a} - - 5"), format!("host{a} - - 6"), format!("host{b} - - 5"), format!("host{b} - - 6")];
    assert_eq!(scan_plan(&fake, &properties, &[a, b]), expected);
    let mapped = merged(&properties, &json!({"initiator_target_map": {HOST_B: [X]}}));
    assert_eq!(scan_plan(&fake, &mapped, &[a, b]), [format!("host{b} - - 6")]);
}

/// FC-11: a port without a LUN so far has no target yet; one with a target may have no remote port.
#[test]
fn fc_10_ports_are_found_among_remote_ports_and_among_targets() {
    let (fake, a, b) = two_fabrics();
    assert!(!fake.tree().exists("/sys/class/fc_transport"));
    assert_eq!(scan_plan(&fake, &volume(&[X], 5), &[a, b]), [format!("host{a} 0 1 5")]);
    fake.tree().write(&format!("/sys/class/fc_transport/target{b}:0:7/port_name"), "0x500601603EE000FF\n");
    assert_eq!(scan_plan(&fake, &volume(&["500601603ee000ff"], 5), &[a, b]), [format!("host{b} 0 7 5")]);
    // No target, and no number: the other ports count all the same.
    fake.tree().write(&format!("/sys/class/fc_remote_ports/rport-{a}:0-0/scsi_target_id"), "-1\n");
    fake.tree().remove(&format!("/sys/class/fc_remote_ports/rport-{b}:0-0/scsi_target_id"));
    assert_eq!(
        scan_plan(&fake, &volume(&[W, X, Y, Z], 5), &[a, b]),
        [format!("host{a} 0 1 5"), format!("host{b} 0 1 5")]
    );
}

#[test]
fn x_08_of_two_remote_ports_with_one_name_the_one_that_is_there_counts() {
    for stale_first in [true, false] {
        let fake = FakeHost::new();
        let a = fake.fc_host(HOST_A);
        let numbers = [fake.fc_port(a, W), fake.fc_port(a, W)];
        let (stale, live) = if stale_first { (numbers[0], numbers[1]) } else { (numbers[1], numbers[0]) };
        fake.tree().write(&format!("/sys/class/fc_remote_ports/rport-{a}:0-{stale}/port_state"), "Not Present\n");
        assert_eq!(scan_plan(&fake, &volume(&[W], 5), &[a]), [format!("host{a} 0 {live} 5")]);
        // The stale one may still have a disk, which goes with the volume.
        fake.tree().write(&format!("/sys/class/fc_remote_ports/rport-{a}:0-{stale}/scsi_target_id"), "-1\n");
        assert_eq!(scan_plan(&fake, &volume(&[W], 5), &[a]), [format!("host{a} 0 {live} 5")]);
    }
}

/// A LUN that is shown at another number by each port.
#[test]
fn lu_05_a_lun_belongs_to_its_port() {
    let fake = FakeHost::new();
    let (a, b) = (fake.fc_host(HOST_A), fake.fc_host(HOST_B));
    fake.fc_port(a, W);
    fake.fc_port(b, Y);
    fake.fc_map(&[W], 5, &Volume::number(1));
    fake.fc_map(&[Y], 300, &Volume::number(1));
    fake.fc_map(&[W], 300, &Volume::number(2));
    let properties = json!({"target_wwns": [W, Y], "target_luns": [5, 300]});
    attach(&fake, &properties, &multipath());
    assert_eq!(scans(&fake), [scan(b, "0 0 300"), scan(a, "0 0 5")]);
    assert_eq!(fake.slaves(), ["sda", "sdb"]);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// LU-01: from 256 on in udev's hexadecimal.
#[test]
fn lu_04_flat_space_addressing_is_understood() {
    for (mode, lun, kernel, link) in [
        ("SAM2", 300, 16684, "0x412c000000000000"),
        ("SAM2", 5, 5, "5"),
        ("SAM3-flat", 5, 16389, "0x4005000000000000"),
        ("transparent", 300, 300, "0x012c000000000000"),
    ] {
        let (fake, host) = one_fabric();
        fake.fc_map(&[W], kernel, &Volume::number(3));
        let properties = merged(&volume(&[W], lun), &json!({"addressing_mode": mode}));
        let path = attach(&fake, &properties, &single()).path;
        assert_eq!(path, format!("/dev/disk/by-path/pci-0000:05:00.{host}-fc-0x{W}-lun-{link}"));
        assert_eq!(scans(&fake), [scan(host, &format!("0 0 {kernel}"))]);
    }
}
