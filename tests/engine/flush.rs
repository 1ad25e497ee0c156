//! Detaching what is in use or was written to: map and disks, with and without force.

use os_brick_engine::error::Error;

use crate::check::{
    IQN, all_paths, attach, detach, disconnect, disconnect_by_force, disconnect_device, multipath, one_path, single,
};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Multipathd, Trouble, Volume};

/// ID-12: what is built on the map is in use; nothing is taken away, not even with its session.
#[test]
fn id_12_a_map_in_use_stays_with_all_it_has() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.build_on("dm-0", "dm-1", "luks", "CRYPT-LUKS2-abc");
    fake.forget_journal();
    let error = disconnect(&fake, &properties, &multipath()).expect_err("LUKS uses the map");
    assert!(matches!(&error, Error::InUse { reason, .. } if reason.contains("luks")), "{error:?}");
    assert_eq!(fake.journal(), Vec::<String>::new());
    assert_eq!(fake.slaves(), ["sda", "sdb"]);
}

/// The partitions of a map go with it.
#[test]
fn id_14_partitions_of_a_map_go_with_it() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    let id = Volume::number(1).id();
    fake.build_on("dm-0", "dm-1", &format!("{id}-part1"), &format!("part1-mpath-{id}"));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// SC-11: a flush that fails keeps everything.
#[test]
fn sc_11_without_force_a_failed_flush_stops_the_detach() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    make_flush_fail(&fake, "sda");
    disconnect_device(&fake, &properties, &single(), "/dev/sda").expect_err("the flush fails");
    assert_eq!(fake.disks(), ["sda"]);
    assert!(fake.has_session(&portal, IQN));
    assert_eq!(fake.done("delete"), Vec::<String>::new());
}

/// ID-13: with force every step is done, and every error told.
#[test]
fn id_13_with_force_a_failed_flush_is_told_and_the_host_is_clean() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    make_flush_fail(&fake, "sda");
    let errors = disconnect_by_force(&fake, &properties, &single()).expect("force goes on");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().contains("/dev/sda"), "{errors:?}");
    fake.assert_clean();
}

/// A node that leads nowhere: opening it for the flush fails, and the kernel removes it with the disk.
fn make_flush_fail(fake: &FakeHost, disk: &str) {
    fake.tree().link(&format!("/dev/{disk}"), "/dev/nowhere/block");
}

/// ID-29: a map was flushed, so its paths are not, and one that is down is no hindrance.
#[test]
fn id_30_paths_are_not_flushed_after_their_map() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    make_flush_fail(&fake, "sdb");
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// Without a map only the disk that was used is flushed.
#[test]
fn id_30_a_disk_nobody_used_is_not_flushed() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.forms_maps = false);
    for portal in &portals {
        let sid = fake.log_in(portal, IQN);
        fake.scan_in(sid, 1);
    }
    make_flush_fail(&fake, "sdb");
    disconnect_device(&fake, &all_paths(&portals, IQN, 1), &single(), "/dev/sda").expect("sdb has nothing to flush");
    fake.assert_clean();
}

/// The encrypted volume's link leads to a mapping: every disk may have been written to.
#[test]
fn id_30_under_an_encrypted_volume_every_disk_is_flushed() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    fake.machine.write_device_mapper("dm-5", "luks", "CRYPT-LUKS2-abc", 1 << 20);
    make_flush_fail(&fake, "sda");
    disconnect_device(&fake, &properties, &single(), "/dev/mapper/luks").expect_err("the disk below is flushed");
}

/// MP-12: in use for a moment while udev looks.
#[test]
fn mp_12_a_map_that_is_busy_for_a_moment_is_tried_again() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.trouble_times(3, "del map", Trouble::Answer("fail\n"));
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.done("del map").len(), 4);
    fake.assert_clean();
}

/// The daemon says ok and the map stays: it is looked for, not believed.
#[test]
fn mp_26_a_map_that_stays_is_removed_again() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.trouble_times(1, "del map", Trouble::Ignored);
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.done("del map").len(), 2);
    fake.assert_clean();
}

/// ID-27: no multipathd, nobody to ask; `multipath -f` removes the map itself.
#[test]
fn id_27_without_multipathd_a_map_goes_all_the_same() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    {
        let mut state = fake.machine.state();
        state.manners.multipathd = Multipathd::Absent;
        state.watched.clear();
    }
    fake.forget_journal();
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.done("multipath -f"), [format!("multipath -f {}", Volume::number(1).id())]);
    fake.assert_clean();
}
