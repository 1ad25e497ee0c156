//! Attaching over all paths: logins at once, one map, usable before it is handed out.

use std::time::Duration;

use os_brick_engine::error::Error;
use os_brick_engine::transports::iscsi::Attachment;
use serde_json::json;

use crate::check::{IQN, IQN2, all_paths, attach, connect, detach, merged, multipath, one_path, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Multipathd, Trouble, Volume, log_book};

fn map_of(volume: &Volume) -> Attachment {
    Attachment { path: "/dev/dm-0".to_owned(), scsi_wwn: volume.id(), multipath_id: Some(volume.id()) }
}

/// IC-23, IC-40: one login and one scan for each portal; SC-05, MP-09: the identity is the volume's.
#[test]
fn ic_23_four_portals_become_one_map() {
    let (fake, portals) = host_with_portals::<4>();
    let properties = all_paths(&portals, IQN, 1);
    assert_eq!(attach(&fake, &properties, &multipath()), map_of(&Volume::number(1)));
    assert_eq!(fake.slaves(), ["sda", "sdb", "sdc", "sdd"]);
    for portal in &portals {
        assert_eq!(fake.done(&format!("-p {portal} --login")).len(), 1);
        let host = fake.host_number(portal, IQN);
        assert_eq!(
            fake.done(&format!("host{host}/scan")),
            [format!("write 0 0 1 > /sys/class/scsi_host/host{host}/scan")]
        );
    }
    assert_eq!(fake.done("multipath -"), Vec::<String>::new(), "multipathd forms maps alone here");
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

#[test]
fn ic_23_logins_run_at_once() {
    let (fake, portals) = host_with_portals::<4>();
    // None ends before all have begun.
    fake.trouble("--login", Trouble::Until(|state| state.count("--login") == 4));
    attach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    assert_eq!(fake.logins().len(), 4);
}

#[test]
fn the_singular_properties_are_completed_by_discovery() {
    let (fake, portals) = host_with_portals::<3>();
    let properties = one_path(&portals[1], IQN, 1);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.slaves().len(), 3);
    assert_eq!(
        fake.done("discovery"),
        [format!("iscsiadm -m discovery -t sendtargets -I default -p {} -o nonpersistent", portals[1])]
    );
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// The plural properties: no discovery.
#[test]
fn ic_03_listed_paths_need_no_discovery() {
    let (fake, portals) = host_with_portals::<2>();
    fake.target(IQN2, &portals);
    attach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    assert_eq!(fake.done("discovery"), Vec::<String>::new());
    assert!(!fake.has_session(&portals[0], IQN2));
}

/// Case A: the target is behind every portal, so other names are other volumes.
#[test]
fn ic_03_targets_of_other_volumes_are_not_logged_in_to() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target("iqn.foreign", &portals);
    fake.target(IQN, &portals);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun("iqn.foreign", 1, Volume::number(2));
    assert_eq!(attach(&fake, &one_path(&portals[0], IQN, 1), &multipath()), map_of(&Volume::number(1)));
    assert_eq!(fake.done("iqn.foreign"), Vec::<String>::new());
}

/// Case B: a name for each portal, all of one volume.
#[test]
fn ic_03_a_target_for_each_portal_is_a_path_each() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals[..1]);
    fake.target(IQN2, &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun(IQN2, 1, Volume::number(1));
    let properties = one_path(&portals[0], IQN, 1);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.slaves(), ["sda", "sdb"]);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// Another volume's target on another portal is tried, seen to be another disk, and left as it was.
#[test]
fn ic_03_another_volumes_disk_is_never_mixed_in() {
    let fake = FakeHost::new();
    // As on real machines: the foreign disk has gone before udev has told multipathd.
    fake.behave(|manners| manners.map_delay = Duration::from_millis(200));
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals[..1]);
    fake.target("iqn.foreign", &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun("iqn.foreign", 1, Volume::number(2));
    let properties = one_path(&portals[0], IQN, 1);
    assert_eq!(attach(&fake, &properties, &multipath()).multipath_id, Some(Volume::number(1).id()));
    fake.wait_for("the end of the foreign session", |state| state.sessions.len() == 1);
    assert!(fake.has_session(&portals[0], IQN));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// What an operator reads about an attach, times left out.
#[track_caller]
pub fn check_told(portal: &str, expected: &str) {
    let told = log_book::lines_with(&format!("{portal} {IQN}"));
    let told: Vec<&String> = told.iter().filter(|line| line.starts_with("INFO")).collect();
    let [line] = told[..] else { panic!("one line, not {told:#?}") };
    let is_time = |word: &&str| word.contains('.') && word.parse::<f64>().is_ok();
    let words: Vec<&str> = line.split(' ').map(|word| if is_time(&word) { "_" } else { word }).collect();
    assert_eq!(words.join(" "), expected);
}

/// One line at INFO: the phases with their times, and the path that is missing with its reason.
#[test]
fn an_attach_tells_its_phases_and_what_is_missing() {
    log_book::open();
    let (fake, [first, second]) = host_with_portals();
    fake.stop_portal(&second);
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &multipath());
    let missing = format!("Unable to find target portal {second}: connection refused: no target listens there");
    check_told(
        &first,
        &format!(
            "INFO os_brick.engine.iscsi attached {first} {IQN} LUN 1 as /dev/dm-0, without {second} {IQN} LUN 1 \
             ({missing}): lock _ s, login {first} _ s, device _ s, identity _ s, map _ s, ready _ s, total _ s"
        ),
    );
}

fn attach_with_find_multipaths(mode: &'static str) -> FakeHost {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.find_multipaths = mode);
    let properties = all_paths(&portals, IQN, 1);
    assert_eq!(attach(&fake, &properties, &multipath()), map_of(&Volume::number(1)));
    fake.wait_for("the second path", |state| state.maps.values().any(|map| map.slaves.len() == 2));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
    fake
}

/// The identity is written down, by no program; each disk is offered once at most.
#[test]
fn ic_24_find_multipaths_yes_needs_telling() {
    let fake = attach_with_find_multipaths("yes");
    assert_eq!(fake.done("multipath -"), Vec::<String>::new());
    for disk in ["sda", "sdb"] {
        assert!(fake.done(&format!("add path {disk}")).len() <= 1, "{:#?}", fake.journal());
    }
}

#[test]
fn ic_24_find_multipaths_strict_needs_telling() {
    let fake = attach_with_find_multipaths("strict");
    assert_eq!(fake.done("multipath -"), Vec::<String>::new());
    assert!(!fake.done("add path").is_empty());
}

/// ID-08, ID-06: no `multipath -r`, no command for each device.
#[test]
fn id_08_a_greedy_multipathd_is_left_alone() {
    let fake = attach_with_find_multipaths("greedy");
    assert_eq!(fake.done("multipath -"), Vec::<String>::new());
}

/// One path of many: the map forms all the same.
#[test]
fn ic_24_one_path_is_enough_for_a_map() {
    let (fake, [first, second]) = host_with_portals();
    fake.behave(|manners| manners.find_multipaths = "yes");
    fake.stop_portal(&second);
    assert_eq!(attach(&fake, &all_paths(&[first, second], IQN, 1), &multipath()), map_of(&Volume::number(1)));
}

/// MP-03, MP-14, MP-24: with friendly names the map has another name, and the identity stays the identity.
#[test]
fn mp_09_the_id_of_a_map_with_a_friendly_name_is_the_identity() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.friendly_names = true);
    assert_eq!(attach(&fake, &all_paths(&portals, IQN, 1), &multipath()), map_of(&Volume::number(1)));
}

/// MP-20: asked for, enforced and not there: refused before anything is touched.
#[test]
fn mp_18_multipath_that_is_enforced_needs_multipathd() {
    for multipathd in [Multipathd::Absent, Multipathd::OldAndSilent] {
        let (fake, portals) = host_with_portals::<2>();
        fake.behave(|manners| manners.multipathd = multipathd);
        let properties = merged(&all_paths(&portals, IQN, 1), &json!({"enforce_multipath": true}));
        let error = connect(&fake, &properties, &multipath()).expect_err("there is no multipathd");
        assert!(matches!(error, Error::MultipathUnavailable { .. }), "{error:?}");
        assert_eq!(fake.journal(), ["multipathd show status"]);
        fake.assert_clean();
    }
}

/// MP-19: without multipath in the settings nobody asks multipathd.
#[test]
fn mp_17_a_single_path_does_not_wait_for_a_map() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.multipathd = Multipathd::Absent);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.done("multipath"), Vec::<String>::new());
}

#[test]
fn mp_21_a_map_is_handed_out_when_io_can_enter() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.paths_ready = false);
    fake.machine.later(Duration::from_millis(400), |_, state| state.manners.paths_ready = true);
    connect(&fake, &all_paths(&portals, IQN, 1), &multipath()).expect("its paths become ready");
    assert!(fake.machine.state().manners.paths_ready, "the map was handed out too early");
}

/// MP-22: by-id leads to the map already; udev's identity of a disk with a text designator is found through it.
#[test]
fn mp_22_an_identity_only_udev_can_form_is_read_from_its_links() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    let volume = Volume::t10("ATA     disk 7");
    fake.target(IQN, &portals);
    fake.map_lun(IQN, 1, volume.clone());
    let properties = all_paths(&portals, IQN, 1);
    assert_eq!(attach(&fake, &properties, &multipath()), map_of(&volume));
    assert_eq!(fake.slaves().len(), 2);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// SC-04: the id of udev and multipath, not the one the kernel prefers.
#[test]
fn sc_04_of_several_designators_the_one_of_udev_counts() {
    let fake = FakeHost::new();
    let portal = fake.portal();
    let volume = Volume { sysfs_wwid: Some("t10.LIO-ORG fileio:0001".to_owned()), ..Volume::number(1) };
    fake.target(IQN, &[&portal]);
    fake.map_lun(IQN, 1, volume.clone());
    assert_eq!(attach(&fake, &one_path(&portal, IQN, 1), &single()).scsi_wwn, volume.id());
}

/// SC-03: a disk that has no VPD page in sysfs is known by `device/wwid`.
#[test]
fn sc_03_the_kernels_wwid_serves_without_a_page() {
    let fake = FakeHost::new();
    let portal = fake.portal();
    fake.target(IQN, &[&portal]);
    fake.map_lun(IQN, 1, Volume { page: None, ..Volume::number(1) });
    assert_eq!(attach(&fake, &one_path(&portal, IQN, 1), &single()).scsi_wwn, Volume::number(1).id());
}

/// MP-23: udev is slow; the identity and the attach do not wait for its links.
#[test]
fn mp_23_the_identity_does_not_wait_for_udev() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.udev_delay = Duration::from_secs(3600));
    let attachment = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect("the disk is there");
    assert_eq!(attachment.scsi_wwn, Volume::number(1).id());
}

/// DL: LVM on a single path is no multipath map, on attach and on detach.
#[test]
fn x_02_a_holder_that_is_no_multipath_map_is_none() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    fake.build_on("sda", "dm-7", "vg-root", "LVM-abcdef");
    assert_eq!(attach(&fake, &properties, &single()).path, "/dev/sda");
    let error = crate::check::disconnect(&fake, &properties, &single()).expect_err("LVM uses it");
    assert!(matches!(&error, Error::InUse { reason, .. } if reason.contains("vg-root")), "{error:?}");
    assert_eq!(fake.disks(), ["sda"]);
    assert!(fake.has_session(&portal, IQN));
    assert_eq!(fake.done("del map"), Vec::<String>::new());
    assert_eq!(fake.done("multipath -f"), Vec::<String>::new());
}

/// multipathd was told the identity, in vain; told it stays it would make a map of the next disk with it.
#[test]
fn ic_25_without_a_map_multipathd_is_told_again() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| {
        manners.forms_maps = false;
        manners.find_multipaths = "yes";
    });
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}
