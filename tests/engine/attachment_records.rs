//! What attaches and detaches write down, and what is read from it: `src/transports/attachment.rs`,
//! `src/inventory/records.rs`.

use std::os::unix::fs::{PermissionsExt, symlink};

use os_brick_engine::error::Error;
use os_brick_engine::inventory::orphans::add_records;
use os_brick_engine::inventory::records::{self, Kept, Standing};
use os_brick_engine::inventory::{Answers, Finding, FindingKind, Inventory, find_orphans};
use os_brick_engine::transports::attachment::is_under_way;
use serde_json::{Value, json};

use crate::check::{
    self, IQN, all_paths, attach, connect, detach, disconnect, disconnect_by_force, merged, multipath, one_path, single,
};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::inventory::{root, write_nvme};
use crate::support::{FakeHost, Trouble, Volume};
use crate::waiting::{Named, all_at_once, end_of};
use crate::{fc_check, nvmeof_check};

const DIRECTORY: &str = "/var/lib/os-brick/attachments";
const BOOT: &str = "5a5d5e0e-0000-4000-8000-00000000b001";

fn recorded(settings: &Value) -> Value {
    merged(settings, &json!({"attachment_record_path": DIRECTORY}))
}

/// The host as it was started, with a place for records whose last part is still to be made.
fn start(fake: &FakeHost) {
    fake.tree().write("/proc/sys/kernel/random/boot_id", format!("{BOOT}\n"));
    fake.tree().directory("/var/lib/os-brick");
}

/// The records without what no test can know.
fn written(fake: &FakeHost) -> Vec<Value> {
    let names = fake.tree().names(DIRECTORY);
    names.iter().map(|name| parse(&fake.tree().read(&format!("{DIRECTORY}/{name}")).expect("it is there"))).collect()
}

fn parse(text: &str) -> Value {
    let mut record: Value = serde_json::from_str(text).expect("a record is JSON");
    let fields = record.as_object_mut().expect("a record is an object");
    assert!(fields.remove("time").is_some_and(|time| time.as_u64() > Some(1_700_000_000)));
    assert!(fields.remove("operation").is_some_and(|operation| operation.is_string()));
    // Which portal's disk came first is chance.
    if let Some(disks) = record.pointer_mut("/made/disks").and_then(Value::as_array_mut) {
        disks.sort_by_key(ToString::to_string);
    }
    record
}

fn states(fake: &FakeHost) -> Vec<String> {
    written(fake).iter().map(|record| record["state"].as_str().expect("a text").to_owned()).collect()
}

/// Has the machine keep a copy of the record when a command or write is done.
fn copy_at(fake: &FakeHost, pattern: &str) {
    let copy = Trouble::Then(|machine, state| {
        for name in machine.tree.names(DIRECTORY) {
            let text = machine.tree.read(&format!("{DIRECTORY}/{name}")).expect("it is there");
            state.journal.push(format!("record {name} {text}"));
        }
    });
    fake.trouble(pattern, copy);
}

fn copies(fake: &FakeHost) -> Vec<(String, Value)> {
    let lines = fake.done("record ");
    let parts = lines.iter().filter_map(|line| line.strip_prefix("record ")?.split_once(' '));
    parts.map(|(name, text)| (name.to_owned(), parse(text))).collect()
}

fn kept(fake: &FakeHost) -> Vec<Kept> {
    records::read(&root(fake), DIRECTORY.as_ref(), &|record| is_under_way(&root(fake), record))
}

fn standings(fake: &FakeHost) -> Vec<Standing> {
    let mut found = Inventory::read(&root(fake));
    found.add_records(&kept(fake));
    found.volumes.iter().filter_map(|volume| volume.record).collect()
}

fn findings(fake: &FakeHost) -> Vec<Finding> {
    let found = Inventory::read(&root(fake));
    let mut all = find_orphans(&root(fake), &found, &Answers::default());
    add_records(&mut all, DIRECTORY.as_ref(), &kept(fake), &found);
    all
}

#[test]
fn an_attach_is_written_down_before_and_after_and_goes_with_the_detach() {
    let (fake, portals) = host_with_portals::<2>();
    start(&fake);
    let secrets = json!({
        "auth_method": "CHAP", "auth_username": "the-user", "auth_password": "the-password",
        "discovery_auth_method": "CHAP", "discovery_auth_username": "the-user", "discovery_auth_password": "the-password",
        "volume_id": "volume-1",
    });
    fake.require_chap(IQN, "the-user", "the-password");
    let properties = merged(&all_paths(&portals, IQN, 1), &secrets);
    copy_at(&fake, "--login");
    let settings = recorded(&multipath());
    attach(&fake, &properties, &settings);
    let lists = all_paths(&portals, IQN, 1);
    let before = json!({
        "state": "attaching", "protocol": "iscsi", "boot_id": BOOT, "volume": [format!("{IQN} 1")], "lock_path": "/locks",
        "asked": merged(&lists, &json!({"volume_id": "volume-1"})), "made": null,
    });
    let (name, copy) = copies(&fake).remove(0);
    assert_eq!(copy, before, "when the first portal was logged in to");
    let made = json!({"path": "/dev/dm-0", "identity": Volume::number(1).id(), "map": "dm-0", "disks": ["sda", "sdb"]});
    let after = merged(&before, &json!({"state": "attached", "made": made}));
    assert_eq!(written(&fake), std::slice::from_ref(&after));
    assert_eq!(fake.tree().names(DIRECTORY), std::slice::from_ref(&name), "nothing else is left beside it");
    assert!(!fake.tree().read(&format!("{DIRECTORY}/{name}")).expect("it is there").contains("the-"));
    let mode = |path: &str| std::fs::metadata(fake.tree().place(path)).expect("it is there").permissions().mode();
    assert_eq!(mode(&format!("{DIRECTORY}/{name}")) & 0o7777, 0o600);
    assert_eq!(mode(DIRECTORY) & 0o7777, 0o700);

    fake.forget_journal();
    copy_at(&fake, "--logout");
    detach(&fake, &properties, &settings);
    assert_eq!(copies(&fake)[0], (name, merged(&after, &json!({"state": "detaching"}))));
    assert_eq!(written(&fake), [] as [Value; 0]);
}

#[test]
fn nothing_is_written_without_the_option() {
    let (fake, portal) = host_with_volume();
    start(&fake);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.tree().names("/var/lib/os-brick"), [] as [String; 0]);
}

#[test]
fn a_failed_attach_that_cleaned_up_leaves_no_record() {
    let (fake, portal) = host_with_volume();
    start(&fake);
    fake.trouble("/scan", Trouble::Refused);
    for settings in [single(), multipath()] {
        connect(&fake, &one_path(&portal, IQN, 1), &recorded(&settings)).expect_err("there is no disk");
        assert_eq!((states(&fake), fake.leftovers()), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_second_attach_that_fails_leaves_the_first_ones_record() {
    let (fake, [one, two]) = host_with_portals();
    start(&fake);
    let settings = recorded(&single());
    attach(&fake, &one_path(&one, IQN, 1), &settings);
    let first = written(&fake);
    fake.trouble("/scan", Trouble::Refused);
    connect(&fake, &one_path(&two, IQN, 1), &settings).expect_err("there is no disk");
    assert_eq!(written(&fake), first);
}

#[test]
fn a_detach_that_was_refused_leaves_the_volume_attached() {
    let (fake, portals) = host_with_portals::<2>();
    start(&fake);
    let (properties, settings) = (all_paths(&portals, IQN, 1), recorded(&multipath()));
    attach(&fake, &properties, &settings);
    let attached = written(&fake);
    fake.build_on("dm-0", "dm-1", "vg-data", "LVM-abc");
    let error = disconnect(&fake, &properties, &settings).expect_err("something is built on it");
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert_eq!(written(&fake), attached);
    assert_eq!(standings(&fake), [Standing::Attached]);
}

/// The properties of the detach name one path of two, as those of an old service do.
#[test]
fn a_detach_finds_the_record_under_fewer_names() {
    let fake = FakeHost::new();
    let portals: [String; 2] = fake.portals();
    for (iqn, portal) in [(IQN, &portals[0]), (check::IQN2, &portals[1])] {
        fake.target(iqn, &[portal]);
        fake.map_lun(iqn, 1, Volume::number(1));
    }
    start(&fake);
    let settings = recorded(&multipath());
    let properties = json!({"target_portals": portals, "target_iqns": [IQN, check::IQN2], "target_luns": [1, 1]});
    attach(&fake, &properties, &settings);
    assert_eq!(states(&fake), ["attached"]);
    detach(&fake, &one_path(&portals[1], check::IQN2, 1), &settings);
    assert_eq!(states(&fake), [] as [String; 0]);
}

all_at_once! {
    #[test]
    fn what_force_could_not_remove_stays_half_done() {
        let (fake, portals) = host_with_portals::<2>();
        start(&fake);
        let (properties, settings) = (all_paths(&portals, IQN, 1), recorded(&multipath()));
        attach(&fake, &properties, &settings);
        fake.trouble("/device/delete", Trouble::Refused);
        fake.trouble("--logout", Trouble::Exit(10, "iscsiadm: cannot log out"));
        let errors = disconnect_by_force(&fake, &properties, &settings).expect("it is forced");
        assert_ne!(errors, []);
        assert_eq!(states(&fake), ["detaching"]);
    }
}

#[test]
fn the_other_protocols_are_written_down_too() {
    let (fake, _) = fc_check::one_fabric();
    fake.behave(|manners| manners.forms_maps = false);
    start(&fake);
    let properties = merged(&fc_check::volume(&[fc_check::W], 5), &json!({"volume_id": "volume-1"}));
    let settings = recorded(&single());
    let attached = fc_check::attach(&fake, &properties, &settings);
    let disk = fake.disks().remove(0);
    let expected = json!({
        "state": "attached", "protocol": "fibre_channel", "boot_id": BOOT, "volume": [format!("{} 5", fc_check::W)],
        "lock_path": "/locks", "asked": properties,
        "made": {"path": attached.path, "identity": Volume::number(1).id(), "map": null, "disks": [disk]},
    });
    assert_eq!(written(&fake), [expected]);
    assert_eq!(standings(&fake), [Standing::Attached]);
    fc_check::detach(&fake, &properties, &settings);
    assert_eq!(written(&fake), [] as [Value; 0]);

    let (fake, portals) = nvmeof_check::host_with_volume::<2>();
    start(&fake);
    let properties = nvmeof_check::volume(nvmeof_check::NQN, &portals, 1);
    let path = nvmeof_check::attach(&fake, &properties, &recorded(&nvmeof_check::multipath()));
    let records = written(&fake);
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0]["state"], &records[0]["asked"]), (&json!("attached"), &properties));
    assert_eq!((&records[0]["made"]["path"], &records[0]["made"]["disks"]), (&json!(path), &json!([&path[5..]])));
}

/// A namespace is found by what it is known by, or by its subsystem when that is all there is.
#[test]
fn a_half_done_attach_of_a_namespace_is_told_by_its_names() {
    let subsystem = "nqn.2026-01.org.example:volume";
    let names = [
        (format!("nvme {subsystem} uuid 5a5d5e0e-0000-4000-8000-000000000001"), Standing::HalfDone),
        (format!("nvme {subsystem}"), Standing::HalfDone),
        (format!("nvme {subsystem} uuid 5a5d5e0e-0000-4000-8000-000000000002"), Standing::Unknown),
        (format!("nvme {subsystem} namespace 1"), Standing::Unknown),
        ("nvme nqn.2026-01.org.example:vol".to_owned(), Standing::Unknown),
    ];
    for (name, expected) in names {
        let fake = FakeHost::new();
        start(&fake);
        write_nvme(fake.tree());
        let record = json!({
            "state": "attaching", "protocol": "nvmeof", "boot_id": BOOT, "time": 1_700_000_001, "operation": "1-2-3",
            "volume": [name], "lock_path": "/locks", "asked": {}, "made": null,
        });
        fake.tree().write(&format!("{DIRECTORY}/nvmeof-1.json"), record.to_string());
        assert_eq!(standings(&fake), [expected], "{name}");
    }
}

/// Every way in which the place of the records can be wrong is a warning.
#[test]
fn a_record_that_cannot_be_written_fails_no_attach() {
    let wrong: [fn(&FakeHost); 4] = [
        |fake| fake.tree().write(DIRECTORY, "a file"),
        |fake| {
            fake.tree().directory("/elsewhere");
            symlink(fake.tree().place("/elsewhere"), fake.tree().place(DIRECTORY)).expect("the tree is ours");
        },
        |fake| {
            fake.tree().remove("/var/lib/os-brick");
            fake.tree().directory("/elsewhere/attachments");
            symlink(fake.tree().place("/elsewhere"), fake.tree().place("/var/lib/os-brick")).expect("the tree is ours");
        },
        |fake| {
            fake.tree().directory(DIRECTORY);
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(fake.tree().place(DIRECTORY), open).expect("the tree is ours");
        },
    ];
    for (number, wrong) in wrong.iter().enumerate() {
        let (fake, portal) = host_with_volume();
        start(&fake);
        wrong(&fake);
        let settings = recorded(&single());
        attach(&fake, &one_path(&portal, IQN, 1), &settings);
        detach(&fake, &one_path(&portal, IQN, 1), &settings);
        for directory in ["/elsewhere", "/elsewhere/attachments", DIRECTORY] {
            let names = fake.tree().names(directory);
            assert!(names.iter().all(|name| name == "attachments"), "{number}: {directory} has {names:?}");
        }
    }
}

/// A link or a pipe with a record's name is replaced, never opened.
#[test]
fn a_link_in_place_of_a_record_is_not_followed() {
    let (fake, portal) = host_with_volume();
    start(&fake);
    let (properties, settings) = (one_path(&portal, IQN, 1), recorded(&single()));
    attach(&fake, &properties, &settings);
    let name = fake.tree().names(DIRECTORY).remove(0);
    detach(&fake, &properties, &settings);
    fake.tree().write("/etc/precious", "precious");
    for link in [name.clone(), format!(".{name}.new")] {
        symlink(fake.tree().place("/etc/precious"), fake.tree().place(format!("{DIRECTORY}/{link}")))
            .expect("it is free");
    }
    attach(&fake, &properties, &settings);
    assert_eq!(fake.tree().read("/etc/precious").as_deref(), Some("precious"));
    assert_eq!(states(&fake), ["attached"]);
    assert_eq!(fake.tree().names(DIRECTORY), [name]);
}

/// An attach that was killed while its map was awaited, then the host's next start.
#[test]
fn after_a_crash_what_is_half_done_is_told_from_what_is_attached_and_from_what_is_unknown() {
    let (fake, [one, two]) = host_with_portals();
    start(&fake);
    fake.behave(|manners| manners.forms_maps = false);
    fake.map_lun(IQN, 2, Volume::number(2));
    fake.map_lun(IQN, 3, Volume::number(3));
    let settings = recorded(&single());
    attach(&fake, &one_path(&one, IQN, 1), &settings);
    attach(&fake, &one_path(&one, IQN, 2), &settings);
    let unknown = fake.log_in(&two, IQN);
    fake.scan_in(unknown, 3);
    let half = half_done(&fake, 2);
    assert_eq!(standings(&fake), [Standing::Attached, Standing::HalfDone, Standing::Unknown]);

    let found = findings(&fake);
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    let file = format!("{DIRECTORY}/{half}");
    assert_eq!((finding.kind, &finding.subject), (FindingKind::HalfDone, &file));
    let seen: Vec<String> = finding.evidence.iter().map(|seen| format!("{}: {}", seen.place, seen.value)).collect();
    let expected = [
        format!("{file}: attaching iscsi, since the last start of the host"),
        format!("volume: {IQN} 2"),
        "/dev/sdb: is there with 1 path(s)".to_owned(),
    ];
    assert_eq!(seen, expected);
    assert_eq!(finding.commands, ["echo 1 > /sys/block/sdb/device/delete", &format!("rm {file}")]);

    fake.tree().write("/proc/sys/kernel/random/boot_id", "another\n");
    assert_eq!(standings(&fake), [Standing::Stale, Standing::Stale, Standing::Unknown]);
    assert_eq!(findings(&fake), [], "volumes that are here again may be in use");
    fake.trouble("/scan", Trouble::Refused);
    connect(&fake, &one_path(&two, IQN, 1), &settings).expect_err("there is no disk");
    assert_eq!(standings(&fake)[0], Standing::Unknown, "what was recorded before is not put back");
}

/// Makes the record of a LUN look as when its attach was killed; its file's name.
fn half_done(fake: &FakeHost, lun: u64) -> String {
    let is_of = |name: &&String| {
        let text = fake.tree().read(&format!("{DIRECTORY}/{name}")).expect("it is there");
        text.contains(&format!("\"{IQN} {lun}\""))
    };
    let names = fake.tree().names(DIRECTORY);
    let name = names.iter().find(is_of).expect("the LUN has a record");
    let place = format!("{DIRECTORY}/{name}");
    let mut record: Value = serde_json::from_str(&fake.tree().read(&place).expect("it is there")).expect("JSON");
    record["state"] = json!("attaching");
    record["made"] = Value::Null;
    fake.tree().write(&place, record.to_string());
    name.clone()
}

#[test]
fn an_operation_that_is_under_way_is_not_half_done() {
    let (fake, portal) = host_with_volume();
    start(&fake);
    attach(&fake, &one_path(&portal, IQN, 1), &recorded(&single()));
    half_done(&fake, 1);
    let locks = os_brick_engine::transports::locks::Locks::new(&root(&fake), "/locks".as_ref());
    let held = locks.operation(&[format!("{IQN} 1")]).expect("nobody has it");
    assert_eq!((standings(&fake), findings(&fake)), (vec![Standing::UnderWay], Vec::new()));
    drop(held);
    assert_eq!(standings(&fake), [Standing::HalfDone]);
}

#[test]
fn a_record_whose_volume_is_not_here_is_found() {
    let (fake, portal) = host_with_volume();
    start(&fake);
    attach(&fake, &one_path(&portal, IQN, 1), &recorded(&single()));
    fake.end_session(1);
    fake.settle();
    let kinds = |fake: &FakeHost| findings(fake).iter().map(|finding| finding.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&fake), [FindingKind::RecordWithoutSession, FindingKind::RecordWithoutVolume]);
    fake.tree().write("/proc/sys/kernel/random/boot_id", "another\n");
    assert_eq!(kinds(&fake), [FindingKind::RecordWithoutSession, FindingKind::StaleRecord]);
    let name = fake.tree().names(DIRECTORY).remove(0);
    fake.tree().write(&format!("{DIRECTORY}/{name}"), "{\"state\": \"of a later version\"}");
    assert_eq!(kinds(&fake), [FindingKind::RecordWithoutSession], "what cannot be read says nothing");
}
