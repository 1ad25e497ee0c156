//! Controllers that stayed at a detach because of other volumes, and go when nobody is behind them any more.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::check::merged;
use crate::locks::{start, upstream_lock};
use crate::nvmeof_check::{NQN, attach, connect, detach, host_with_volume, multipath, single, volume, volume_paths};
use crate::support::nvme::Namespace;
use crate::support::storage::split_portal;
use crate::support::{FakeHost, Trouble, log_book};
use crate::waiting::{Named, all_at_once, end_of};

/// So many volumes of one subsystem, attached through two portals.
fn attached(volumes: u8) -> (FakeHost, [String; 2]) {
    let (fake, portals) = host_with_volume::<2>();
    (1..=volumes).for_each(|number| fake.map_namespace(NQN, u32::from(number), Namespace::number(number)));
    (1..=volumes).for_each(|number| drop(attach(&fake, &volume(NQN, &portals, number), &multipath())));
    // An attach returns when one controller shows its volume; here both do.
    fake.settle();
    (fake, portals)
}

fn detach_at_once(fake: &FakeHost, portals: &[String; 2], volumes: u8) {
    let begin = Barrier::new(usize::from(volumes));
    std::thread::scope(|scope| {
        for number in 1..=volumes {
            let begin = &begin;
            scope.spawn(move || {
                begin.wait();
                detach(fake, &volume(NQN, portals, number));
            });
        }
    });
}

fn unmap(fake: &FakeHost, volumes: u8) {
    (1..=volumes).for_each(|number| fake.unmap_namespace(NQN, u32::from(number)));
}

#[track_caller]
fn wait_until_vacated(fake: &FakeHost) {
    fake.wait_for("the end of the controllers", |state| state.nvme.controllers.is_empty());
    fake.assert_no_nvme();
}

/// NV-10: each of them sees the others, and none is the last; the storage unmaps them when they have returned.
#[test]
fn nv_10_detaches_at_once_leave_nothing() {
    let (fake, portals) = attached(4);
    fake.nvme_state(|nvme| nvme.announces = true);
    detach_at_once(&fake, &portals, 4);
    unmap(&fake, 4);
    wait_until_vacated(&fake);
}

/// NV-10: and when the storage does not tell of it, the host looks.
#[test]
fn nv_10_detaches_at_once_leave_nothing_when_the_storage_is_silent() {
    let (fake, portals) = attached(4);
    detach_at_once(&fake, &portals, 4);
    unmap(&fake, 4);
    wait_until_vacated(&fake);
}

/// NV-10: one after the other, each before the storage has unmapped the one before.
#[test]
fn nv_10_storage_that_is_slow_to_unmap() {
    let (fake, portals) = attached(2);
    fake.nvme_state(|nvme| nvme.announces = true);
    for number in [1, 2] {
        detach(&fake, &volume(NQN, &portals, number));
    }
    fake.unmap_namespace(NQN, 2);
    assert_eq!(fake.controllers().len(), 2, "the first is still there");
    fake.unmap_namespace(NQN, 1);
    wait_until_vacated(&fake);
}

/// NV-10: what the host still shows, and the storage has unmapped, keeps no controller.
#[test]
fn nv_10_a_namespace_the_storage_unmapped_keeps_no_controller() {
    let (fake, portals) = attached(3);
    fake.unmap_namespace(NQN, 1);
    fake.unmap_namespace(NQN, 3);
    assert_eq!(volume_paths(&fake, &volume(NQN, &portals, 1)), ["/dev/nvme0n1"], "nobody told the host");
    detach(&fake, &volume(NQN, &portals, 2));
    fake.assert_no_nvme();
}

/// NV-09, NV-10: a controller that cannot be asked leads to what the host knows.
#[test]
fn nv_09_a_controller_that_is_not_asked_stays_for_what_the_host_shows() {
    let (fake, portals) = attached(2);
    fake.trouble("identify", Trouble::Refused);
    fake.unmap_namespace(NQN, 1);
    detach(&fake, &volume(NQN, &portals, 2));
    assert_eq!(fake.controllers().len(), 2);
    fake.nvme_state(|nvme| nvme.announces = true);
    unmap(&fake, 2);
    wait_until_vacated(&fake);
}

/// NV-09: the neighbour is attached, so its own detach ends the controllers, and nobody else.
#[test]
fn nv_09_the_neighbour_keeps_its_controllers() {
    log_book::open();
    let (fake, portals) = attached(2);
    fake.nvme_state(|nvme| nvme.announces = true);
    detach(&fake, &volume(NQN, &portals, 1));
    fake.unmap_namespace(NQN, 1);
    for portal in &portals {
        log_book::wait_for(&format!("(tcp {portal} of {NQN}) leads to nvme0n2 alone"));
    }
    assert_eq!(fake.done("delete_controller"), Vec::<String>::new());
    assert_eq!(volume_paths(&fake, &volume(NQN, &portals, 2)), ["/dev/nvme0n2"]);
    detach(&fake, &volume(NQN, &portals, 2));
    fake.assert_no_nvme();
}

/// NV-09: nobody is behind the controllers, but an attach waits for its namespace there.
#[test]
fn nv_09_an_attach_that_waits_keeps_a_vacant_controller() {
    log_book::open();
    let (fake, [portal]) = host_with_volume();
    fake.nvme_state(|nvme| nvme.announces = true);
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| connect(&fake, &volume(NQN, &[&portal], 2), &single()));
        fake.wait_for("the look", |state| state.journal.iter().any(|line| line.contains("rescan_controller")));
        detach(&fake, &volume(NQN, &[&portal], 1));
        fake.unmap_namespace(NQN, 1);
        log_book::wait_for(&format!("(tcp {portal} of {NQN}) leads to nothing, but is in use"));
        assert_eq!(fake.done("delete_controller"), Vec::<String>::new());
        fake.map_namespace(NQN, 2, Namespace::number(2));
        assert_eq!(waiting.join().expect("no panic"), Ok("/dev/nvme0n1".to_owned()));
    });
    detach(&fake, &volume(NQN, &[&portal], 2));
    fake.assert_no_nvme();
}

/// NV-09, LK-01: a stock os-brick may have the same in mind as an attach of ours.
#[test]
fn nv_09_nothing_is_ended_beside_a_stock_os_brick() {
    log_book::open();
    let (fake, portals) = attached(2);
    fake.nvme_state(|nvme| nvme.announces = true);
    for number in [1, 2] {
        detach(&fake, &volume(NQN, &portals, number));
    }
    let file = upstream_lock(&fake);
    let mut stock = start("hold", &file);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !file.with_extension("held").exists() {
        assert!(Instant::now() < deadline, "the other process did not get the lock");
        std::thread::sleep(Duration::from_millis(5));
    }
    unmap(&fake, 2);
    for portal in &portals {
        log_book::wait_for(&format!("(tcp {portal} of {NQN}) leads to nothing, but another os-brick is at work"));
    }
    assert_eq!(fake.controllers().len(), 2);
    drop(stock.stdin.take());
    assert!(stock.wait().expect("it has ended").success());
    wait_until_vacated(&fake);
}

/// NV-10: two attaches fail, and the one that made the controller fails first.
#[test]
fn nv_10_attaches_that_fail_at_once_leave_nothing() {
    let (fake, [portal]) = host_with_volume();
    fake.unmap_namespace(NQN, 1);
    let impatient = merged(&single(), &json!({"device_scan_attempts": 1}));
    let patient = merged(&single(), &json!({"device_scan_attempts": 2}));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| connect(&fake, &volume(NQN, &[&portal], 1), &impatient));
        fake.wait_for("the controller", |state| !state.nvme.controllers.is_empty());
        let second = scope.spawn(|| connect(&fake, &volume(NQN, &[&portal], 2), &patient));
        for attach in [first, second] {
            attach.join().expect("no panic").expect_err("the storage has no such namespace");
        }
    });
    wait_until_vacated(&fake);
}

/// NV-09: the number of a controller that went belongs to another connection by now.
#[test]
fn nv_09_another_controller_of_the_same_number_stays() {
    log_book::open();
    let (fake, portals) = attached(2);
    fake.nvme_state(|nvme| nvme.announces = true);
    detach(&fake, &volume(NQN, &portals, 1));
    let other = "nqn.2014-08.org.nvmexpress:uuid:another";
    let elsewhere = fake.portal();
    fake.subsystem(other, &[&elsewhere]);
    for portal in &portals {
        let controller = fake.controller_of(portal, NQN).expect("it is connected");
        fake.end_controller(&controller);
    }
    let taken = fake.connected(&elsewhere, other, "live");
    assert_eq!(taken, "nvme0");
    for portal in &portals {
        log_book::wait_for(&format!("(tcp {portal} of {NQN}) has gone"));
    }
    assert_eq!(fake.done("delete_controller"), Vec::<String>::new());
    assert_eq!(fake.controllers().len(), 1);
}

all_at_once! {
    /// NV-10: the attach has failed and does not wait any longer for a portal that answers then.
    #[test]
    fn nv_10_a_path_that_comes_after_a_failed_attach_goes() {
        log_book::open();
        let (fake, portals) = host_with_volume::<2>();
        fake.unmap_namespace(NQN, 1);
        let (_, port) = split_portal(&portals[1]);
        fake.trouble(&format!("trsvcid={port}"), Trouble::Until(|state| state.let_go));
        let impatient = merged(&multipath(), &json!({"device_scan_attempts": 1}));
        connect(&fake, &volume(NQN, &portals, 1), &impatient).expect_err("there is no namespace");
        assert_eq!(fake.controllers(), Vec::<String>::new());
        fake.let_go();
        fake.wait_for("the end of the late path", |state| state.count("delete_controller") == 2);
        wait_until_vacated(&fake);
        let kept = format!("{} of {NQN}: another attach", portals[1]);
        assert_eq!(log_book::lines_with(&kept), Vec::<String>::new());
    }
}
