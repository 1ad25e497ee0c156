//! Detaching: this volume's devices and only they, then what nobody else needs.

use serde_json::json;

use crate::check::{IQN, IQN2, all_paths, attach, detach, multipath, one_path, single, timed};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Trouble, Volume};

fn position(lines: &[String], what: &str) -> usize {
    lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what} in {lines:#?}"))
}

/// ID-01, ID-07: map, disks, logout, in this order, and no scan; MP-11: by the map's own name.
#[test]
fn id_29_the_map_goes_before_its_paths_and_they_before_the_session() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.friendly_names = true);
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.forget_journal();
    detach(&fake, &properties, &multipath());
    let lines = fake.journal();
    let map = position(&lines, "multipathd del map mpatha");
    let disks = ["sda", "sdb"].map(|disk| position(&lines, &format!("write 1 > /sys/block/{disk}/device/delete")));
    assert!(disks.iter().all(|disk| *disk > map && *disk < position(&lines, "--logout")), "{lines:#?}");
    assert_eq!(fake.done("delete").len(), 2);
    assert_eq!(fake.done("--logout").len(), 2);
    assert_eq!(fake.done("scan"), Vec::<String>::new());
    assert_eq!(fake.done("multipath -r"), Vec::<String>::new());
    assert_eq!(fake.done("del path"), Vec::<String>::new(), "multipathd forgets by itself");
    fake.assert_clean();
}

#[test]
fn id_20_a_volume_that_is_not_there_is_detached() {
    for properties in [one_path("127.0.0.9:3260", IQN, 1), all_paths(&["127.0.0.9:3260", "127.0.0.8:3260"], IQN, 1)] {
        let fake = FakeHost::new();
        detach(&fake, &properties, &multipath());
        detach(&fake, &properties, &single());
        assert_eq!(fake.journal(), Vec::<String>::new());
    }
}

/// ID-20: the disk is gone already; session and record go.
#[test]
fn id_20_a_session_without_the_disk_is_ended() {
    let (fake, portal) = host_with_volume();
    fake.log_in(&portal, IQN);
    detach(&fake, &one_path(&portal, IQN, 1), &single());
    fake.assert_clean();
}

/// ID-04, ID-05, ID-31: another LUN of the target keeps its disk and the session.
#[test]
fn id_15_a_neighbour_on_the_session_keeps_it() {
    let (fake, portals) = host_with_portals::<2>();
    fake.map_lun(IQN, 2, Volume::number(2));
    let (mine, other) = (all_paths(&portals, IQN, 1), all_paths(&portals, IQN, 2));
    attach(&fake, &mine, &multipath());
    attach(&fake, &other, &multipath());
    let mut of_other: Vec<String> = portals.iter().filter_map(|portal| fake.disk(portal, IQN, 2)).collect();
    of_other.sort();
    fake.forget_journal();
    detach(&fake, &mine, &multipath());
    assert_eq!(fake.done("iscsiadm"), Vec::<String>::new());
    assert_eq!(fake.disks(), of_other);
    assert_eq!(fake.slaves(), of_other);
    assert!(portals.iter().all(|portal| fake.record(portal, IQN).is_some()));
    detach(&fake, &other, &multipath());
    fake.assert_clean();
}

/// Several volumes with a name each on the same portals.
#[test]
fn id_04_other_targets_of_the_portals_stay() {
    let (fake, portals) = host_with_portals::<2>();
    fake.target(IQN2, &portals);
    fake.map_lun(IQN2, 1, Volume::number(2));
    let (mine, other) = (one_path(&portals[0], IQN, 1), one_path(&portals[0], IQN2, 1));
    attach(&fake, &mine, &multipath());
    attach(&fake, &other, &multipath());
    fake.forget_journal();
    detach(&fake, &mine, &multipath());
    assert_eq!(fake.done(IQN2), Vec::<String>::new());
    assert!(portals.iter().all(|portal| fake.disk(portal, IQN2, 1).is_some()));
    detach(&fake, &other, &multipath());
    fake.assert_clean();
}

/// Two sessions between the same portal and target, both with the disk.
#[test]
fn id_28_the_disks_of_both_sessions_of_a_portal_go() {
    let (fake, portal) = host_with_volume();
    for _ in 0..2 {
        let sid = fake.log_in(&portal, IQN);
        fake.scan_in(sid, 1);
    }
    assert_eq!(fake.slaves(), ["sda", "sdb"]);
    detach(&fake, &one_path(&portal, IQN, 1), &multipath());
    fake.assert_clean();
}

/// One of the two sessions carries another volume: none is ended.
#[test]
fn id_28_a_neighbour_on_either_session_keeps_both() {
    let (fake, portal) = host_with_volume();
    fake.map_lun(IQN, 2, Volume::number(2));
    let first = fake.log_in(&portal, IQN);
    fake.scan_in(first, 1);
    let second = fake.log_in(&portal, IQN);
    let neighbour = fake.scan_in(second, 2);
    detach(&fake, &one_path(&portal, IQN, 1), &multipath());
    assert_eq!(fake.disks(), [neighbour]);
    assert_eq!(fake.machine.state().sessions.len(), 2);
}

/// ID-10: a path that never joined the map goes as well; ID-09: the map is found through any path.
#[test]
fn id_10_a_path_outside_the_map_goes_with_the_volume() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    let first = fake.log_in(&portals[0], IQN);
    fake.behave(|manners| manners.forms_maps = false);
    fake.scan_in(first, 1);
    let second = fake.log_in(&portals[1], IQN);
    fake.behave(|manners| manners.forms_maps = true);
    fake.scan_in(second, 1);
    fake.machine.state().maps.values_mut().for_each(|map| map.slaves.retain(|disk| disk == "sdb"));
    fake.tree().remove("/sys/devices/virtual/block/dm-0/slaves/sda");
    let device = fake.tree().canonical("/sys/block/sda").expect("the disk is there");
    fake.tree().remove(&format!("{device}/holders/dm-0"));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// ID-23: attached by discovery, detached with the singular properties and no discovery record.
#[test]
fn id_21_the_siblings_of_a_discovered_volume_are_found_by_identity() {
    let fake = FakeHost::new();
    let portals = fake.portals::<3>();
    fake.target(IQN, &portals[..1]);
    fake.target(IQN2, &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun(IQN2, 1, Volume::number(1));
    fake.behave(|manners| manners.forms_maps = false);
    for (portal, iqn) in [(&portals[0], IQN), (&portals[1], IQN2), (&portals[2], IQN2)] {
        let sid = fake.log_in(portal, iqn);
        fake.scan_in(sid, 1);
    }
    detach(&fake, &one_path(&portals[0], IQN, 1), &multipath());
    assert_eq!(fake.done("discovery"), Vec::<String>::new());
    fake.assert_clean();
}

/// The same LUN of another target with another identity is another volume.
#[test]
fn id_21_a_disk_with_another_identity_is_no_sibling() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals[..1]);
    fake.target(IQN2, &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun(IQN2, 1, Volume::number(2));
    for (portal, iqn) in [(&portals[0], IQN), (&portals[1], IQN2)] {
        let sid = fake.log_in(portal, iqn);
        fake.scan_in(sid, 1);
    }
    detach(&fake, &one_path(&portals[0], IQN, 1), &multipath());
    assert_eq!(fake.disks(), ["sdb"]);
    assert!(fake.has_session(&portals[1], IQN2));
}

/// ID-23: attached single, the service now says multipath.
#[test]
fn id_23_what_was_attached_single_is_detached_with_multipath_on() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    detach(&fake, &one_path(&portal, IQN, 1), &multipath());
    fake.assert_clean();
}

#[test]
fn id_24_what_was_attached_multipath_is_detached_with_multipath_off() {
    let (fake, portals) = host_with_portals::<3>();
    attach(&fake, &one_path(&portals[0], IQN, 1), &multipath());
    detach(&fake, &one_path(&portals[0], IQN, 1), &single());
    assert_eq!(fake.done("del map").len(), 1);
    fake.assert_clean();
}

/// LU-07: a list of portals with a singular LUN.
#[test]
fn lu_07_the_singular_lun_is_the_lun_of_every_listed_portal() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = json!({"target_portals": portals, "target_iqns": [IQN, IQN], "target_lun": 1});
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.slaves().len(), 2);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// ID-11: by-path links of earlier attaches decide nothing.
#[test]
fn id_11_old_links_do_not_choose_what_is_removed() {
    let (fake, portal) = host_with_volume();
    let other = fake.portal();
    fake.target(IQN2, &[&other]);
    fake.map_lun(IQN2, 1, Volume::number(2));
    let sid = fake.log_in(&other, IQN2);
    let foreign = fake.scan_in(sid, 1);
    fake.tree().link(&format!("/dev/disk/by-path/ip-{portal}-iscsi-{IQN}-lun-1"), &format!("/dev/{foreign}"));
    detach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.disks(), [foreign]);
    assert!(fake.has_session(&other, IQN2));
}

/// ID-14: a partition is part of its disk.
#[test]
fn id_14_partitions_of_a_disk_are_no_disks() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    let disk = fake.tree().canonical("/sys/block/sda").expect("the disk is there");
    fake.tree().write(&format!("{disk}/sda1/size"), "2048\n");
    assert_eq!(crate::check::volume_devices(&fake, &properties, &single()), ["sda"]);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// The disk is deleted by somebody else in the moment we write.
#[test]
fn sc_10_a_disk_that_went_by_itself_is_gone() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    fake.trouble_times(1, "delete", Trouble::GoneAlready);
    detach(&fake, &properties, &single());
    assert_eq!(fake.done("delete").len(), 1);
    fake.assert_clean();
}

/// ID-03: `--logout` and `--op delete` that find nothing have succeeded.
#[test]
fn id_03_a_logout_that_finds_nothing_has_succeeded() {
    for code in [21, 255] {
        let (fake, portal) = host_with_volume();
        let properties = one_path(&portal, IQN, 1);
        attach(&fake, &properties, &single());
        fake.trouble_times(1, "--logout", Trouble::Exit(code, "iscsiadm: No matching sessions found"));
        let sid = *fake.machine.state().sessions.keys().next().expect("there is a session");
        fake.machine
            .later(std::time::Duration::from_millis(100), move |machine, state| machine.remove_session(state, sid));
        detach(&fake, &properties, &single());
        fake.assert_clean();
    }
}

/// ID-26: another attach got the name of the removed disk before multipathd or udev had noticed; what they know and
/// link now is the other volume's.
#[test]
fn id_27_a_name_that_is_used_again_is_left_alone() {
    let (fake, portal) = host_with_volume();
    let other = fake.portal();
    fake.target(IQN2, &[&other]);
    fake.map_lun(IQN2, 1, Volume::number(2));
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    let sid = fake.log_in(&other, IQN2);
    fake.trouble("delete", Trouble::Then(|machine, state| drop(machine.add_disk(state, 2, 1))));
    assert_eq!(sid, 2);
    let (_, took) = timed(|| detach(&fake, &one_path(&portal, IQN, 1), &single()));
    fake.settle();
    assert_eq!(fake.disk(&other, IQN2, 1).as_deref(), Some("sda"));
    assert_eq!(fake.done("del path"), Vec::<String>::new());
    assert!(took.own < std::time::Duration::from_secs(4), "nothing of ours is left to wait for, but it took {took:?}");
}

#[test]
fn a_detach_needs_no_portal_to_answer() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = one_path(&portals[0], IQN, 1);
    attach(&fake, &properties, &multipath());
    portals.iter().for_each(|portal| fake.stop_portal(portal));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}
