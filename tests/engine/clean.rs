//! What `clean` takes away and what it leaves alone: `src/clean`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use os_brick_engine::clean::{Choices, Fate, Outcome, clean};
use os_brick_engine::host::Host;
use os_brick_engine::transports::locks::Locks;
use serde_json::json;

use crate::check::{IQN, all_paths, attach, merged, multipath, one_path, single};
use crate::connect_single::host_with_volume;
use crate::inventory::{host_with_map, root};
use crate::nvmeof_check::{self, NQN};
use crate::support::machine::State;
use crate::support::nvme::Namespace;
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble, Volume, node_db};

const RECORDS: &str = "/var/lib/os-brick";

fn choices(apply: bool) -> Choices<'static> {
    Choices::new(apply, Path::new("/locks"), None)
}

fn host(fake: &FakeHost) -> Host {
    fake.host()
}

/// What became of each leftover: its subject, its fate, the reason.
fn fates(outcomes: &[Outcome]) -> Vec<(&str, Fate, Option<&str>)> {
    outcomes.iter().map(|one| (one.subject.as_str(), one.fate, one.reason.as_deref())).collect()
}

/// Looks, which changes nothing, then cleans up.  Both see the same.
#[track_caller]
fn both(fake: &FakeHost, expected: &[(&str, Fate, Option<&str>)]) {
    fake.forget_journal();
    let before = fake.leftovers();
    let looked = clean(&host(fake), &choices(false));
    let would: Vec<_> = expected
        .iter()
        .map(|(subject, fate, reason)| match fate {
            Fate::Removed => (*subject, Fate::WouldRemove, None),
            _ => (*subject, *fate, *reason),
        })
        .collect();
    assert_eq!(fates(&looked), would);
    assert_eq!(fake.journal(), [DMSETUP], "a dry run only asks");
    assert_eq!(fake.leftovers(), before);
    assert_eq!(fates(&clean(&host(fake), &choices(true))), expected);
}

const DMSETUP: &str = "dmsetup info --columns --noheadings --separator = -o blkdevname,open";

/// A map whose disks were taken away, with the sessions of somebody else.
fn host_with_empty_map() -> FakeHost {
    let (fake, _) = host_with_map();
    fake.behave(|manners| manners.multipathd_forgets = false);
    for disk in ["sda", "sdb"] {
        fake.machine.remove_disk(&mut fake.machine.state(), disk);
    }
    fake.settle();
    for sid in [1, 2] {
        fake.end_session(sid);
    }
    fake
}

/// As an attach leaves its node record.
fn mark(fake: &FakeHost, portal: &str) {
    let mut record = fake.record(portal, IQN).expect("a login makes a record");
    record.set("node.session.scan", "manual");
    record.set("node.startup", "automatic");
    node_db::write(fake.tree(), &node_db::place(portal, IQN), &record);
}

#[test]
fn a_host_in_order_is_left_alone() {
    let (fake, portals) = crate::connect_single::host_with_portals::<2>();
    attach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    both(&fake, &[]);
    assert_eq!(fake.journal(), [DMSETUP, DMSETUP]);
}

#[test]
fn a_leftover_map_without_paths_and_openers_goes() {
    let fake = host_with_empty_map();
    both(&fake, &[("dm-0", Fate::Removed, None)]);
    let expected = [DMSETUP, DMSETUP, DMSETUP, &format!("multipathd del map {}", Volume::number(1).id())];
    assert_eq!(&fake.journal()[..4], expected);
    assert_eq!(fake.machine.state().maps.len(), 0);
}

#[test]
fn a_map_that_somebody_has_open_is_left_alone() {
    let fake = host_with_empty_map();
    fake.trouble("dmsetup", Trouble::Answer("dm-0=1\n"));
    both(&fake, &[("dm-0", Fate::Left, Some("opened 1 times"))]);
    assert_eq!(fake.done("del map"), [] as [String; 0]);
}

#[test]
fn a_map_of_which_it_is_not_known_who_has_it_open_is_left_alone() {
    let fake = host_with_empty_map();
    fake.trouble("dmsetup", Trouble::Exit(1, "Permission denied"));
    both(&fake, &[("dm-0", Fate::Left, Some("how often it is open is not known"))]);
}

#[test]
fn a_map_that_something_is_built_on_or_that_is_mounted_is_left_alone() {
    let fake = host_with_empty_map();
    fake.build_on("dm-0", "dm-1", "vg-data", "LVM-abc");
    both(&fake, &[("dm-0", Fate::Left, Some("lvm vg-data (dm-1)"))]);

    let fake = host_with_empty_map();
    fake.tree().link("/sys/dev/block/253:0", "/sys/devices/virtual/block/dm-0");
    fake.tree().write("/proc/self/mountinfo", "21 1 253:0 / /srv rw shared:1 - ext4 /dev/mapper/a rw\n");
    both(&fake, &[("dm-0", Fate::Left, Some("mounted on /srv"))]);

    let fake = host_with_empty_map();
    fake.tree().write("/dev/dm-0", "");
    fake.tree().write("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0 partition 1 0 -2\n");
    both(&fake, &[("dm-0", Fate::Left, Some("mounted on [SWAP]"))]);
}

/// Health is no proof: its storage may be back in a moment.
#[test]
fn a_map_whose_paths_are_down_is_left_alone() {
    let (fake, _) = host_with_map();
    for sid in [1, 2] {
        fake.machine.set_session_state(sid, "FAILED");
    }
    both(&fake, &[("dm-0", Fate::Left, Some("it has paths: that they are down does not prove it unused"))]);
}

/// At the second look, when no attach runs any more: somebody else opened the map after the first.
#[test]
fn what_came_into_use_meanwhile_is_left_alone() {
    let fake = host_with_empty_map();
    let opened = Trouble::Then(|machine, state| {
        if is_second_look(state) {
            machine.write_device_mapper("dm-1", "vg-data", "LVM-abc", GIB);
            machine.hold("dm-1", "dm-0");
        }
    });
    fake.trouble("dmsetup", opened);
    let outcomes = clean(&host(&fake), &choices(true));
    assert_eq!(fates(&outcomes), [("dm-0", Fate::Left, Some("opened 1 times"))]);
    assert_eq!(fake.done("del map"), [] as [String; 0]);
}

fn is_second_look(state: &State) -> bool {
    state.journal.iter().filter(|line| *line == DMSETUP).count() == 2
}

/// The last one to refuse is the kernel.
#[test]
fn what_came_into_use_in_the_last_moment_is_left_alone_by_the_kernel() {
    let fake = host_with_empty_map();
    fake.trouble("del map", Trouble::Exit(1, "fail"));
    fake.trouble("multipath -f", Trouble::Exit(1, "map in use"));
    let outcomes = clean(&host(&fake), &choices(true));
    assert_eq!((outcomes.len(), outcomes[0].fate), (1, Fate::Failed), "{outcomes:#?}");
    assert_eq!(fake.machine.state().maps.len(), 1);
}

#[test]
fn nothing_is_done_while_an_attach_does_not_end() {
    let fake = host_with_empty_map();
    let _held = Locks::new(&root(&fake), Path::new("/locks")).operation(&["another volume".to_owned()]).expect("free");
    let impatient = Choices { patience: Duration::from_millis(10), ..choices(true) };
    let outcomes = clean(&host(&fake), &impatient);
    assert_eq!(fates(&outcomes), [("dm-0", Fate::Left, Some("an attach or detach is under way on this host"))]);
}

#[test]
fn an_attach_waits_while_something_is_removed() {
    let fake = host_with_empty_map();
    let portal = fake.portal();
    fake.target("iqn.2010-10.org.openstack:other", &[&portal]);
    fake.map_lun("iqn.2010-10.org.openstack:other", 1, Volume::number(2));
    fake.trouble_times(1, "del map", Trouble::Until(|state| state.let_go));
    let attached = AtomicBool::new(false);
    thread::scope(|scope| {
        let cleaning = scope.spawn(|| clean(&host(&fake), &choices(true)));
        fake.wait_for("the removal", |state| state.journal.iter().any(|line| line.starts_with("multipathd del map")));
        scope.spawn(|| {
            attach(&fake, &one_path(&portal, "iqn.2010-10.org.openstack:other", 1), &single());
            attached.store(true, Ordering::Release);
        });
        assert!(!attached.load(Ordering::Acquire) && fake.logins().is_empty());
        fake.let_go();
        assert_eq!(fates(&cleaning.join().expect("no panic")), [("dm-0", Fate::Removed, None)]);
    });
    assert!(attached.load(Ordering::Acquire));
}

#[test]
fn a_session_of_an_attach_without_disks_goes_with_its_record() {
    let (fake, portal) = host_with_volume();
    fake.log_in(&portal, IQN);
    both(&fake, &[("session1", Fate::Left, Some("its node record is not one of os-brick"))]);
    mark(&fake, &portal);
    both(&fake, &[("session1", Fate::Removed, None)]);
    assert_eq!(fake.leftovers(), [] as [String; 0]);
}

/// A disk came between the looks.
#[test]
fn a_session_with_a_disk_is_no_leftover() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let sid = fake.log_in(&portal, IQN);
    mark(&fake, &portal);
    let scanned = Trouble::Then(|machine, state| {
        if is_second_look(state) {
            machine.add_disk(state, 1, 1).expect("the LUN maps a volume");
        }
    });
    fake.trouble("dmsetup", scanned);
    let outcomes = clean(&host(&fake), &choices(true));
    let device = format!("session{sid} has the device {}:0:0:1 (sda)", fake.host_number(&portal, IQN));
    assert_eq!(fates(&outcomes), [("session1", Fate::Left, Some(device.as_str()))]);
    assert!(fake.has_session(&portal, IQN));
}

/// What was found at first is in order again.
#[test]
fn what_is_no_leftover_any_more_is_gone() {
    let fake = FakeHost::new();
    fake.tree().link("/dev/disk/by-id/os-brick+dev+dm-9", "/dev/dm-9");
    // The second look reads the links after it has asked dmsetup.
    let appeared = Trouble::Then(|machine, state| {
        if is_second_look(state) {
            machine.tree.write("/dev/dm-9", "");
        }
    });
    fake.trouble("dmsetup", appeared);
    let outcomes = clean(&host(&fake), &choices(true));
    let link = "/dev/disk/by-id/os-brick+dev+dm-9";
    assert_eq!(fates(&outcomes), [(link, Fate::Gone, Some("it is not as it was any more"))]);
    assert!(fake.tree().exists(link));
}

#[test]
fn a_node_record_of_an_attach_without_session_goes_and_an_operators_stays() {
    let (fake, portal) = host_with_volume();
    let sid = fake.log_in(&portal, IQN);
    fake.end_session(sid);
    both(&fake, &[]);
    mark(&fake, &portal);
    let subject = format!("{portal} {IQN}");
    both(&fake, &[(&subject, Fate::Removed, None)]);
    assert!(fake.record(&portal, IQN).is_none());
}

#[test]
fn a_controller_without_namespaces_goes() {
    let (fake, [portal]) = nvmeof_check::host_with_volume();
    nvmeof_check::attach(&fake, &nvmeof_check::volume(NQN, &[&portal], 1), &nvmeof_check::single());
    both(&fake, &[]);
    fake.nvme_state(|nvme| nvme.announces = true);
    fake.unmap_namespace(NQN, 1);
    both(&fake, &[("nvme0", Fate::Removed, None)]);
    fake.assert_no_nvme();
}

/// The storage has a namespace that it did not tell of: asked once more, it shows it.
#[test]
fn a_controller_whose_storage_has_a_namespace_after_all_is_left_alone() {
    let (fake, [portal]) = nvmeof_check::host_with_volume();
    nvmeof_check::attach(&fake, &nvmeof_check::volume(NQN, &[&portal], 1), &nvmeof_check::single());
    fake.nvme_state(|nvme| nvme.announces = true);
    fake.unmap_namespace(NQN, 1);
    fake.nvme_state(|nvme| nvme.announces = false);
    fake.map_namespace(NQN, 2, Namespace::number(2));
    let outcomes = clean(&host(&fake), &choices(true));
    let [outcome] = outcomes.as_slice() else { panic!("{outcomes:#?}") };
    assert_eq!(outcome.fate, Fate::Left);
    let reason = outcome.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("it leads to nvme"), "{reason}");
    assert_eq!(fake.controllers().len(), 1);
}

#[test]
fn a_dangling_link_of_os_brick_goes() {
    let fake = FakeHost::new();
    let link = "/dev/disk/by-id/os-brick+dev+dm-9";
    fake.tree().link(link, "/dev/dm-9");
    fake.tree().link("/dev/disk/by-id/wwn-0x6001", "/dev/dm-9");
    both(&fake, &[(link, Fate::Removed, None)]);
    assert!(!fake.tree().exists(link) && fake.tree().exists("/dev/disk/by-id/wwn-0x6001"));
}

#[test]
fn what_needs_a_decision_is_left_alone_with_its_commands() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let sid = fake.log_in(&portal, IQN);
    fake.scan_in(sid, 1);
    fake.build_on("sda", "dm-3", "crypt-sda", "CRYPT-LUKS2-abc");
    fake.end_session(sid);
    fake.settle();
    let reason = Some("somebody has to decide what becomes of it");
    both(&fake, &[("crypt-sda", Fate::Left, reason)]);
    assert_eq!(clean(&host(&fake), &choices(false))[0].commands, ["cryptsetup close crypt-sda"]);
}

#[test]
fn records_without_a_volume_go_and_one_whose_disk_is_here_stays() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    fake.tree().write("/proc/sys/kernel/random/boot_id", "one\n");
    fake.tree().directory(RECORDS);
    let settings = merged(&single(), &json!({"attachment_record_path": RECORDS}));
    attach(&fake, &one_path(&portal, IQN, 1), &settings);
    let file = format!("{RECORDS}/{}", fake.tree().names(RECORDS).remove(0));
    let half = fake.tree().read(&file).expect("it is there").replace("\"attached\"", "\"detaching\"");
    fake.tree().write(&file, half);
    let recorded = Choices { records: Some(Path::new(RECORDS)), ..choices(true) };
    let outcomes = clean(&host(&fake), &recorded);
    assert_eq!(fates(&outcomes), [(file.as_str(), Fate::Left, Some("sda of its volume is on the host: detach it"))]);

    fake.tree().write("/proc/sys/kernel/random/boot_id", "two\n");
    fake.end_session(1);
    fake.settle();
    let outcomes = clean(&host(&fake), &recorded);
    let subject = format!("{portal} {IQN}");
    assert_eq!(fates(&outcomes), [(subject.as_str(), Fate::Removed, None), (&file, Fate::Removed, None)]);
    assert_eq!(fake.tree().names(RECORDS), [] as [String; 0]);
}

/// By its record the volume is attached: whoever attached it will detach it.
#[test]
fn an_empty_map_that_os_brick_attached_is_left_alone() {
    let (fake, portals) = crate::connect_single::host_with_portals::<2>();
    fake.behave(|manners| manners.multipathd_forgets = false);
    fake.tree().directory(RECORDS);
    let settings = merged(&multipath(), &json!({"attachment_record_path": RECORDS}));
    attach(&fake, &all_paths(&portals, IQN, 1), &settings);
    let file = fake.tree().names(RECORDS).remove(0);
    for disk in fake.disks() {
        fake.machine.remove_disk(&mut fake.machine.state(), &disk);
    }
    fake.settle();
    let recorded = Choices { records: Some(Path::new(RECORDS)), ..choices(true) };
    let outcomes = clean(&host(&fake), &recorded);
    let reason = format!("os-brick attached it, by its record {file}");
    assert_eq!(fates(&outcomes)[0], ("dm-0", Fate::Left, Some(reason.as_str())));
}
