//! Detaching NVMe-oF volumes: only their own, also when they are gone.

use std::time::Duration;

use os_brick_engine::error::Error;

use crate::nvmeof_check::{
    NQN, NQN2, attach, connect, detach, disconnect, host_with_volume, multipath, old, single, volume, volume_paths,
};
use crate::support::nvme::{Namespace, uuid};
use crate::support::{FakeHost, Trouble};

/// NV-05
#[test]
fn nv_05_a_volume_that_is_not_there_is_detached() {
    let (fake, portals) = host_with_volume::<2>();
    detach(&fake, &volume(NQN, &portals, 1));
    disconnect(&fake, &old(NQN, &portals[0]), Some("/dev/nvme7n1"), false).expect("it is not there");
    assert_eq!(fake.journal(), Vec::<String>::new());
}

/// NV-10: the storage has unmapped the volume already; what is left are empty controllers.
#[test]
fn nv_10_controllers_without_namespaces_go() {
    let (fake, portals) = host_with_volume::<2>();
    let properties = volume(NQN, &portals, 1);
    attach(&fake, &properties, &multipath());
    fake.nvme_state(|nvme| nvme.announces = true);
    fake.unmap_namespace(NQN, 1);
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

/// NV-06, NV-09, NV-10: another volume's namespace keeps the controller.
#[test]
fn nv_09_a_controller_of_another_volume_stays() {
    let (fake, portals) = host_with_volume::<2>();
    fake.map_namespace(NQN, 2, Namespace::number(2));
    attach(&fake, &volume(NQN, &portals, 1), &multipath());
    attach(&fake, &volume(NQN, &portals, 2), &multipath());
    fake.forget_journal();
    detach(&fake, &volume(NQN, &portals, 1));
    assert_eq!(fake.done("delete_controller"), Vec::<String>::new());
    assert_eq!(volume_paths(&fake, &volume(NQN, &portals, 2)), ["/dev/nvme0n2"]);
    // The storage unmaps the first; then the second was the last.
    fake.nvme_state(|nvme| nvme.announces = true);
    fake.unmap_namespace(NQN, 1);
    detach(&fake, &volume(NQN, &portals, 2));
    fake.assert_no_nvme();
}

/// NV-06: always a controller, never a namespace.
#[test]
fn nv_06_the_controller_is_disconnected() {
    let (fake, [portal]) = host_with_volume();
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    fake.forget_journal();
    detach(&fake, &volume(NQN, &[&portal], 1));
    assert_eq!(fake.journal(), ["write 1 > /sys/class/nvme-fabrics/ctl/nvme0/delete_controller"]);
}

/// NV-08: data that cannot be written keeps the volume attached.
#[test]
fn nv_08_a_flush_that_fails_ends_the_detach() {
    let fake = FakeHost::of_caller().with_nvme();
    let portal = fake.portal();
    fake.subsystem(NQN, &[&portal]);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let properties = volume(NQN, &[&portal], 1);
    attach(&fake, &properties, &single());
    fake.trouble("blockdev", Trouble::Exit(1, "blockdev: ioctl error on BLKFLSBUF: Input/output error"));
    let error = disconnect(&fake, &properties, None, false).expect_err("the data would be lost");
    assert!(matches!(error, Error::Command(_)), "{error:?}");
    assert_eq!(fake.controllers().len(), 1);
    let errors = disconnect(&fake, &properties, None, true).expect("it is forced");
    assert_eq!(errors, [error]);
    fake.assert_no_nvme();
}

/// NV-10: one portal's failure does not spare the others.
#[test]
fn nv_10_every_portal_is_tried() {
    let (fake, portals) = host_with_volume::<2>();
    let properties = volume(NQN, &portals, 1);
    attach(&fake, &properties, &multipath());
    let first = fake.controller_of(&portals[0], NQN).expect("it is connected");
    fake.trouble_times(1, &format!("{first}/delete_controller"), Trouble::Refused);
    let error = disconnect(&fake, &properties, None, false).expect_err("one controller stays");
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(fake.controllers().len(), 1);
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

#[test]
fn a_volume_that_is_in_use_stays() {
    let (fake, [portal]) = host_with_volume();
    let properties = volume(NQN, &[&portal], 1);
    attach(&fake, &properties, &single());
    fake.hold_device("nvme0n1", "dm-9");
    let error = disconnect(&fake, &properties, None, false).expect_err("something is built on it");
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert_eq!(fake.controllers().len(), 1);
}

/// An attach that waits for its namespace on a controller keeps it from the detach of another volume.
#[test]
fn a_controller_an_attach_waits_on_is_not_disconnected() {
    let (fake, [portal]) = host_with_volume();
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| connect(&fake, &volume(NQN, &[&portal], 2), &single()));
        fake.wait_for("the look", |state| state.journal.iter().any(|line| line.contains("rescan_controller")));
        detach(&fake, &volume(NQN, &[&portal], 1));
        assert_eq!(fake.done("delete_controller"), Vec::<String>::new());
        fake.nvme_state(|nvme| nvme.announces = true);
        fake.unmap_namespace(NQN, 1);
        fake.map_namespace(NQN, 2, Namespace::number(2));
        assert_eq!(waiting.join().expect("no panic"), Ok("/dev/nvme0n1".to_owned()));
    });
}

/// NV-37: a controller goes while it is looked at.
#[test]
fn nv_37_a_controller_without_attributes_is_passed_over() {
    let (fake, [portal]) = host_with_volume();
    fake.tree().write("/sys/class/nvme-fabrics/ctl/nvme8/subsysnqn", NQN);
    fake.tree().directory("/sys/class/nvme-fabrics/ctl/nvme9");
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 1), &single()), "/dev/nvme0n1");
}

/// A killed attach left a controller, with or without its namespace.
#[test]
fn a_killed_attach_is_put_right_by_the_next_and_by_a_detach() {
    for hidden in [false, true] {
        let (fake, portals) = host_with_volume::<2>();
        let properties = volume(NQN, &portals, 1);
        if hidden {
            fake.unmap_namespace(NQN, 1);
        }
        fake.connected(&portals[0], NQN, "live");
        if hidden {
            detach(&fake, &properties);
        } else {
            attach(&fake, &properties, &multipath());
            assert_eq!(fake.controllers().len(), 2);
            detach(&fake, &properties);
        }
        fake.assert_no_nvme();
    }
}

/// A path that is on its way when the volume is detached does not appear afterwards.
#[test]
fn no_path_appears_after_the_detach() {
    let fake = FakeHost::nvme();
    let portals = [fake.portal(), fake.dead_portal()];
    fake.subsystem(NQN, &portals);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let properties = volume(NQN, &portals, 1);
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties);
    fake.start_portal(&portals[1]);
    std::thread::sleep(Duration::from_millis(2500));
    fake.assert_no_nvme();
}

#[test]
fn a_portal_that_comes_back_joins() {
    let fake = FakeHost::nvme();
    let portals = [fake.portal(), fake.dead_portal()];
    fake.subsystem(NQN, &portals);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let properties = volume(NQN, &portals, 1);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.controllers().len(), 1);
    fake.start_portal(&portals[1]);
    fake.wait_for("the second path", |state| state.nvme.controllers.len() == 2);
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

/// udev's link of a UUID saves a search, and is believed only when it says what the kernel says.
#[test]
fn a_link_that_leads_elsewhere_is_not_believed() {
    let (fake, portals) = host_with_volume::<2>();
    fake.map_namespace(NQN, 2, Namespace::number(2));
    let first = volume(NQN, &portals, 1);
    attach(&fake, &first, &multipath());
    attach(&fake, &volume(NQN, &portals, 2), &multipath());
    let link = format!("/dev/disk/by-id/nvme-uuid.{}", uuid(1));
    assert_eq!(fake.tree().link_name(&link).as_deref(), Some("nvme0n1"));
    assert_eq!(volume_paths(&fake, &first), ["/dev/nvme0n1"]);
    // udev is behind the kernel, or has no link at all.
    fake.tree().link(&link, "/dev/nvme0n2");
    assert_eq!(volume_paths(&fake, &first), ["/dev/nvme0n1"]);
    fake.tree().remove(&link);
    assert_eq!(volume_paths(&fake, &first), ["/dev/nvme0n1"]);
    // Another array has a volume of the same UUID, a copy.
    let elsewhere = fake.portal();
    fake.subsystem(NQN2, &[&elsewhere]);
    fake.map_namespace(NQN2, 1, Namespace::number(1));
    fake.connected(&elsewhere, NQN2, "live");
    fake.tree().link(&link, "/dev/nvme0n1");
    assert_eq!(volume_paths(&fake, &volume(NQN2, &[&elsewhere], 1)), ["/dev/nvme1n1"]);
    assert_eq!(volume_paths(&fake, &first), ["/dev/nvme0n1"]);
}
