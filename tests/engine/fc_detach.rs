//! Detaching and extending over Fibre Channel.

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{merged, multipath, single};
use crate::fc_check::{HOST_A, W, X, Y, Z, attach, detach, disconnect, extend, one_fabric, two_fabrics, volume};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble, Volume};

fn position(lines: &[String], what: &str) -> usize {
    lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what} in {lines:#?}"))
}

/// FC-01: the properties are enough; X-07: nothing is left with udev and multipathd.
#[test]
fn fc_02_the_map_goes_before_its_paths() {
    let (fake, ..) = two_fabrics();
    let properties = volume(&[W, X, Y, Z], 5);
    attach(&fake, &properties, &multipath());
    fake.forget_journal();
    detach(&fake, &properties, &multipath());
    let lines = fake.journal();
    let map = position(&lines, "multipathd del map");
    assert!(["sda", "sdb", "sdc", "sdd"].iter().all(|disk| position(&lines, &format!("{disk}/device/delete")) > map));
    assert_eq!(fake.done("scan"), Vec::<String>::new());
    fake.assert_clean();
}

#[test]
fn fc_01_a_volume_that_is_not_there_is_detached() {
    let (fake, ..) = two_fabrics();
    detach(&fake, &volume(&[W, Y], 5), &multipath());
    detach(&FakeHost::new(), &volume(&[W, Y], 5), &single());
    assert_eq!(fake.journal(), Vec::<String>::new());
}

/// Other LUNs of the same ports, and the same LUN of another array, keep their disks.
#[test]
fn a_neighbour_is_not_touched() {
    let (fake, a, b) = two_fabrics();
    let other = "500601603ee000aa";
    fake.fc_port(a, other);
    fake.fc_map(&[W, X, Y, Z], 6, &Volume::number(6));
    fake.fc_map(&[other], 5, &Volume::number(7));
    let properties = volume(&[W, X, Y, Z], 5);
    attach(&fake, &properties, &multipath());
    let mut kept = vec![fake.fc_scan_in(a, W, 6), fake.fc_scan_in(b, Y, 6), fake.fc_scan_in(a, other, 5)];
    kept.sort();
    fake.forget_journal();
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.disks(), kept);
    assert_eq!(fake.done("delete").len(), 4);
    assert_eq!(fake.done("del map"), [format!("multipathd del map {}", Volume::number(1).id())]);
}

/// FC-24: by address; links of earlier attaches decide nothing.
#[test]
fn fc_24_old_links_do_not_choose_what_is_removed() {
    let (fake, host) = one_fabric();
    fake.fc_map(&[W], 6, &Volume::number(6));
    let foreign = fake.fc_scan_in(host, W, 6);
    fake.tree().link(&format!("/dev/disk/by-path/pci-0000:05:00.{host}-fc-0x{W}-lun-5"), &format!("/dev/{foreign}"));
    detach(&fake, &volume(&[W], 5), &single());
    assert_eq!(fake.disks(), [foreign]);
}

/// FC-16: a dead path does not keep the others, or itself.
#[test]
fn fc_16_dead_paths_go_with_the_volume() {
    let (fake, a, _) = two_fabrics();
    let properties = volume(&[W, Y], 5);
    attach(&fake, &properties, &multipath());
    fake.fc_port_state(a, W, "Blocked");
    fake.break_disk("sda");
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// A path in the map that the properties do not name would bring the map back.
#[test]
fn paths_the_properties_do_not_name_go_with_the_map() {
    let (fake, a, _) = two_fabrics();
    attach(&fake, &volume(&[W], 5), &multipath());
    fake.fc_scan_in(a, X, 5);
    assert_eq!(fake.slaves().len(), 2);
    detach(&fake, &volume(&[W], 5), &multipath());
    fake.assert_clean();
}

/// FC-17: whatever name an attach of any version gave out, the disk is flushed.
#[test]
fn fc_17_a_single_path_is_flushed_under_whatever_name_it_was_used() {
    for used in ["/dev/sda", "by-path", "/dev/disk/by-id/gone"] {
        let fake = FakeHost::of_caller();
        let host = fake.fc_host(HOST_A);
        fake.fc_port(host, W);
        fake.fc_map(&[W], 5, &Volume::number(1));
        fake.behave(|manners| manners.forms_maps = false);
        let properties = volume(&[W], 5);
        let attachment = attach(&fake, &properties, &single());
        let used = if used == "by-path" { attachment.path.as_str() } else { used };
        disconnect(&fake, &properties, &multipath(), Some(used), false).expect("nobody uses it");
        assert_eq!(fake.done("blockdev"), ["blockdev --flushbufs /dev/sda"], "{used}");
    }
}

#[test]
fn sc_10_a_disk_that_went_by_itself_is_gone() {
    let (fake, _) = one_fabric();
    let properties = volume(&[W], 5);
    attach(&fake, &properties, &single());
    fake.trouble_times(1, "delete", Trouble::GoneAlready);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

#[test]
fn every_path_and_the_map_get_the_new_size() {
    let (fake, ..) = two_fabrics();
    let properties = volume(&[W, X, Y, Z], 5);
    attach(&fake, &properties, &multipath());
    fake.fc_map(&[W, X, Y, Z], 5, &Volume::number(1).sized(3 * GIB));
    assert_eq!(extend(&fake, &properties, &multipath()), Ok(3 * GIB));
    assert_eq!(fake.done("device/rescan").len(), 4);
    assert_eq!(fake.tree().read("/sys/block/dm-0/size"), Some((3 * GIB / 512).to_string()));
}

#[test]
fn a_volume_with_a_dead_path_is_not_extended() {
    let (fake, ..) = two_fabrics();
    let properties = volume(&[W, Y], 5);
    attach(&fake, &properties, &multipath());
    fake.break_disk("sdb");
    let error = extend(&fake, &properties, &multipath()).expect_err("a path is down");
    assert!(matches!(&error, Error::PathDown { reason } if reason.contains("sdb")), "{error:?}");
    let (fake, _) = one_fabric();
    let error = extend(&fake, &merged(&volume(&[W], 5), &json!({"wwn": null})), &single()).expect_err("not attached");
    assert!(matches!(error, Error::PathsNotFound { .. }), "{error:?}");
}
