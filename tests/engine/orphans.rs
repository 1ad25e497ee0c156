//! What is left on the host and nobody's, or not what it seems: `src/inventory/orphans`, `src/inventory/live.rs`.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use os_brick_engine::error::Result;
use os_brick_engine::host::Host;
use os_brick_engine::host::act::inquiry::{Answer, refusal};
use os_brick_engine::host::root::Root;
use os_brick_engine::identifiers::DeviceName;
use os_brick_engine::inventory::live::{Question, ask_with};
use os_brick_engine::inventory::{Answers, Finding, FindingKind, Inventory, find_orphans};

use crate::check::{IQN, all_paths, attach, multipath};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::inventory::{host_with_map, root, write_nvme};
use crate::support::machine::Machine;
use crate::support::{FakeHost, Volume, node_db};

/// The storage's own answer, as an INQUIRY would get it.
fn answer(machine: &Machine, disk: &DeviceName) -> Answer {
    let state = machine.state();
    let disk = &state.disks[disk.as_str()];
    let volume = state.storage.volume(&state.sessions[&disk.sid].iqn, disk.lun);
    volume.map_or(Answer::NoUnit, |volume| Answer::Page(volume.page.unwrap_or_default()))
}

fn ask(fake: &FakeHost, question: impl Fn(&Host, &DeviceName) -> Result<Answer> + Send + Sync + 'static) -> Answers {
    let question: Arc<Question> = Arc::new(question);
    ask_with(&fake.host(), &Inventory::read(&root(fake)), &question, Duration::from_secs(20), Duration::from_secs(20))
}

/// Everything found when every disk tells the truth.
fn look(fake: &FakeHost) -> Vec<Finding> {
    let machine = Arc::clone(&fake.machine);
    let answers = ask(fake, move |_, disk| Ok(answer(&machine, disk)));
    find_orphans(&root(fake), &Inventory::read(&root(fake)), &answers)
}

fn look_without_asking(root: &Root) -> Vec<Finding> {
    find_orphans(root, &Inventory::read(root), &Answers::default())
}

/// The only finding: its kind, what it is about, its evidence as lines, its commands.
#[track_caller]
fn only(findings: &[Finding]) -> (FindingKind, &str, Vec<String>, Vec<&str>) {
    let [finding] = findings else { panic!("{findings:#?}") };
    let seen = finding.evidence.iter().map(|seen| format!("{}: {}", seen.place, seen.value)).collect();
    (finding.kind, &finding.subject, seen, finding.commands.iter().map(String::as_str).collect())
}
#[test]
fn nothing_is_said_of_a_healthy_host() {
    let (fake, portals) = host_with_portals::<2>();
    attach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    fake.tree().link("/dev/disk/by-id/os-brick+dev+dm-0", "/dev/dm-0");
    fake.tree().write("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.2026-01.org.example:host\n");
    assert_eq!(look(&fake), []);
}

#[test]
fn se_08_a_reused_lun_is_seen_by_asking() {
    let (fake, _) = host_with_map();
    fake.map_lun(IQN, 1, Volume::number(2));
    assert_eq!(look_without_asking(&root(&fake)), [], "the kernel still believes in the old volume");
    let findings = look(&fake);
    let (was, now) = (Volume::number(1).id(), Volume::number(2).id());
    let seen = ["sda", "sdb"]
        .iter()
        .flat_map(|disk| [format!("/sys/block/{disk}/device/vpd_pg83: {was}"), format!("/dev/{disk} now: {now}")]);
    let commands = [
        format!("multipathd disablequeueing map {was}"),
        "udevadm settle --timeout=30".to_owned(),
        format!("multipath -f {was}"),
        "echo 1 > /sys/block/sda/device/delete".to_owned(),
        "echo 1 > /sys/block/sdb/device/delete".to_owned(),
        format!("multipath -w {was}"),
        "echo '0 0 1' > /sys/class/scsi_host/host2/scan".to_owned(),
        "echo '0 0 1' > /sys/class/scsi_host/host3/scan".to_owned(),
    ];
    let commands = commands.iter().map(String::as_str).collect();
    assert_eq!(only(&findings), (FindingKind::ReusedLun, "dm-0", seen.collect(), commands));
}

#[test]
fn a_lun_that_maps_nothing_any_more_is_seen_with_who_uses_it() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let sid = fake.log_in(&portal, IQN);
    fake.scan_in(sid, 1);
    fake.build_on("sda", "dm-3", "it's mine", "CRYPT-LUKS2-abc");
    fake.unmap_lun(IQN, 1);
    let seen = vec![
        format!("/sys/block/sda/device/vpd_pg83: {}", Volume::number(1).id()),
        "/dev/sda now: no disk".to_owned(),
        "/dev/sda: luks it's mine (dm-3)".to_owned(),
    ];
    let commands = vec![
        r"cryptsetup close 'it'\''s mine'",
        "echo 1 > /sys/block/sda/device/delete",
        "echo '0 0 1' > /sys/class/scsi_host/host2/scan",
    ];
    assert_eq!(only(&look(&fake)), (FindingKind::ReusedLun, "sda", seen, commands));
}

#[test]
fn a_disk_that_hangs_is_left_and_its_connection_not_asked_again() {
    let (fake, [one, two]) = host_with_portals();
    fake.behave(|manners| manners.forms_maps = false);
    fake.map_lun(IQN, 2, Volume::number(2));
    let (first, second) = (fake.log_in(&one, IQN), fake.log_in(&two, IQN));
    for (sid, lun) in [(first, 1), (second, 2)] {
        fake.scan_in(sid, lun);
    }
    let (never, waiting) = mpsc::channel::<()>();
    let (machine, waiting) = (Arc::clone(&fake.machine), Mutex::new(waiting));
    let question: Arc<Question> = Arc::new(move |_, disk| {
        if disk.as_str() == "sda" {
            let _ = waiting.lock().expect("nobody else waits").recv();
        }
        Ok(answer(&machine, disk))
    });
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(20));
    let answers = ask_with(&fake.host(), &Inventory::read(&root(&fake)), &question, short, long);
    drop(never);
    let silent: Vec<_> = answers.silent.iter().map(|silent| (silent.device.as_str(), silent.reason.as_str())).collect();
    assert_eq!(silent, [("sda", "an answer of sda did not happen within 2s")]);
    assert_eq!(answers.by_disk.keys().map(DeviceName::as_str).collect::<Vec<_>>(), ["sdb"]);
}

#[test]
fn a_disk_that_is_down_is_not_asked() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let sid = fake.log_in(&portal, IQN);
    fake.scan_in(sid, 1);
    fake.machine.set_session_state(sid, "FAILED");
    let answers = ask(&fake, |_, disk| panic!("{disk} was asked"));
    assert_eq!(answers.silent.len(), 1);
    assert_eq!(answers.silent[0].reason, "not asked: the disk is running, session1 is FAILED");
}

#[test]
fn the_storage_says_that_there_is_no_unit() {
    let mut fixed = [0_u8; 64];
    (fixed[0], fixed[2], fixed[12]) = (0x70, 0x05, 0x25);
    assert_eq!(refusal(&fixed), Ok(Answer::NoUnit));
    let mut descriptor = [0_u8; 64];
    (descriptor[0], descriptor[1], descriptor[2]) = (0x72, 0x05, 0x25);
    assert_eq!(refusal(&descriptor), Ok(Answer::NoUnit));
    fixed[12] = 0x24;
    assert_eq!(refusal(&fixed), Err("sense key 0x5, code 0x24".to_owned()));
}

#[test]
fn a_map_whose_paths_are_gone_or_down() {
    let (fake, _) = host_with_map();
    let id = Volume::number(1).id();
    let uuid = format!("/sys/block/dm-0/dm/uuid: mpath-{id}");
    let flush = [
        format!("multipathd disablequeueing map {id}"),
        "udevadm settle --timeout=30".to_owned(),
        format!("multipath -f {id}"),
    ];
    for sid in [1, 2] {
        fake.machine.set_session_state(sid, "FAILED");
    }
    let findings = look(&fake);
    let mut seen = vec![uuid.clone()];
    for (disk, sid) in [("sda", 1), ("sdb", 2)] {
        seen.extend([format!("/sys/block/{disk}/device/state: running"), format!("session{sid}: FAILED")]);
    }
    let deletes = ["sda", "sdb"].map(|disk| format!("echo 1 > /sys/block/{disk}/device/delete"));
    let forget = format!("multipath -w {id}");
    let commands = flush.iter().chain(&deletes).chain([&forget]).map(String::as_str).collect();
    assert_eq!(only(&findings), (FindingKind::MapWithoutPaths, "dm-0", seen, commands));

    // multipathd would take the map away with its last disk; here it is stuck, as behind a map somebody has open.
    fake.behave(|manners| manners.multipathd_forgets = false);
    for disk in ["sda", "sdb"] {
        fake.machine.remove_disk(&mut fake.machine.state(), disk);
    }
    fake.settle();
    let findings = look(&fake);
    let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    use FindingKind::{MapWithoutPaths, SessionWithoutDisks};
    assert_eq!(kinds, [MapWithoutPaths, SessionWithoutDisks, SessionWithoutDisks]);
    let commands = flush.iter().chain([&forget]).map(String::as_str).collect();
    let seen = vec![uuid, "/sys/block/dm-0/slaves: no disk".to_owned()];
    assert_eq!(only(&findings[..1]), (MapWithoutPaths, "dm-0", seen, commands));
}

#[test]
fn a_disk_outside_its_map() {
    let (fake, _) = host_with_map();
    fake.tree().remove("/sys/devices/virtual/block/dm-0/slaves/sdb");
    let id = Volume::number(1).id();
    let seen = vec![format!("/sys/block/dm-0/dm/uuid: mpath-{id}"), format!("/sys/block/sdb/device/vpd_pg83: {id}")];
    let expected = (FindingKind::PathOutsideMap, "sdb", seen, vec!["multipathd add path sdb"]);
    assert_eq!(only(&look(&fake)), expected);
}

#[test]
fn a_map_over_two_volumes() {
    let (fake, [_, two]) = host_with_map();
    // As after a rescan by somebody else: the kernel knows, the map goes on.
    fake.map_lun(IQN, 1, Volume::number(2));
    fake.machine.rescan_disk(&mut fake.machine.state(), "sdb");
    let (one, other) = (Volume::number(1).id(), Volume::number(2).id());
    let seen = vec![
        format!("/sys/block/dm-0/dm/uuid: mpath-{one}"),
        format!("/sys/block/sda/device/vpd_pg83: {one}"),
        format!("/sys/block/sdb/device/vpd_pg83: {other}"),
    ];
    let host = fake.host_number(&two, IQN);
    let scan = format!("echo '0 0 1' > /sys/class/scsi_host/host{host}/scan");
    let commands = vec!["multipathd remove path sdb", "echo 1 > /sys/block/sdb/device/delete", &scan];
    let findings = look_without_asking(&root(&fake));
    assert_eq!(only(&findings), (FindingKind::MixedIdentities, "dm-0", seen, commands));
}

#[test]
fn sessions_and_records_that_lead_to_no_volume() {
    let (fake, portal) = host_with_volume();
    let sid = fake.log_in(&portal, IQN);
    let findings = look(&fake);
    let to = |action: &str| format!("iscsiadm --mode node --targetname {IQN} --portal {portal} {action}");
    let seen = vec![
        format!("/sys/class/iscsi_session/session1/targetname: {IQN}"),
        "/sys/class/iscsi_session/session1/state: LOGGED_IN".to_owned(),
        "/sys/class/iscsi_session/session1/device: no disk".to_owned(),
    ];
    let commands = [to("--logout"), to("--op delete")];
    let commands = commands.iter().map(String::as_str).collect();
    assert_eq!(only(&findings), (FindingKind::SessionWithoutDisks, "session1", seen, commands));

    fake.end_session(sid);
    assert_eq!(look(&fake), [], "the record may be an operator's own");
    let mut record = fake.record(&portal, IQN).expect("a login makes a record");
    record.set("node.session.scan", "manual");
    record.set("node.startup", "automatic");
    let place = node_db::place(&portal, IQN);
    node_db::write(fake.tree(), &place, &record);
    let seen = vec![
        format!("{place}: node.session.scan = manual, node.startup = automatic"),
        "/sys/class/iscsi_session: no session with this portal and target".to_owned(),
    ];
    let (subject, command) = (format!("{portal} {IQN}"), to("--op delete"));
    let expected = (FindingKind::RecordWithoutSession, subject.as_str(), seen, vec![command.as_str()]);
    assert_eq!(only(&look(&fake)), expected);
}

#[test]
fn a_link_that_leads_nowhere() {
    let fake = FakeHost::new();
    let link = "/dev/disk/by-id/os-brick+dev+dm-9";
    fake.tree().link(link, "/dev/dm-9");
    let seen = vec![format!("{link}: leads to ../../dm-9, which is gone")];
    let remove = format!("rm {link}");
    assert_eq!(only(&look(&fake)), (FindingKind::DanglingLink, link, seen, vec![remove.as_str()]));
}

#[test]
fn a_luks_mapping_over_a_disk_that_was_taken_away() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let sid = fake.log_in(&portal, IQN);
    fake.scan_in(sid, 1);
    fake.build_on("sda", "dm-3", "crypt-sda", "CRYPT-LUKS2-abc");
    assert_eq!(look(&fake), []);
    fake.end_session(sid);
    fake.settle();
    let seen = vec![
        "/sys/block/dm-3/dm/uuid: CRYPT-LUKS2-abc".to_owned(),
        "/sys/block/dm-3/slaves/sda: leads to a device that is gone".to_owned(),
    ];
    let expected = (FindingKind::LuksOverNothing, "crypt-sda", seen, vec!["cryptsetup close crypt-sda"]);
    assert_eq!(only(&look(&fake)), expected);
    // The disk that comes back has another name, and the mapping is not over that one.
    let sid = fake.log_in(&portal, IQN);
    fake.scan_in(sid, 1);
    assert_eq!(fake.disks(), ["sdb"]);
    assert_eq!(only(&look(&fake)), expected);
}

#[test]
fn names_the_host_may_share_with_another() {
    let (fake, _) = host_with_map();
    let file = "/etc/iscsi/initiatorname.iscsi";
    fake.tree().write(file, "InitiatorName=iqn.2026-01.org.example:one\n");
    for (sid, interface) in [(1, "default"), (2, "offload0")] {
        let session = format!("/sys/class/iscsi_session/session{sid}");
        fake.tree().write(&format!("{session}/ifacename"), interface);
        fake.tree().write(&format!("{session}/initiatorname"), "iqn.2026-01.org.example:image");
    }
    let seen = vec![
        format!("{file}: iqn.2026-01.org.example:one"),
        "/sys/class/iscsi_session/session1/initiatorname: iqn.2026-01.org.example:image".to_owned(),
    ];
    let commands = vec![
        "cat /etc/iscsi/initiatorname.iscsi",
        "echo \"InitiatorName=$(iscsi-iname)\" > /etc/iscsi/initiatorname.iscsi",
        "systemctl restart iscsid",
    ];
    assert_eq!(only(&look(&fake)), (FindingKind::HostNameInDoubt, file, seen, commands));
}

#[test]
fn a_controller_that_leads_to_no_namespace() {
    let fake = FakeHost::new();
    write_nvme(fake.tree());
    let seen = vec![
        "/sys/class/nvme/nvme3/subsysnqn: nqn.2026-01.org.example:empty".to_owned(),
        "/sys/class/nvme/nvme3/address: 10.0.0.3:4420".to_owned(),
        "/sys/class/nvme/nvme3/state: connecting".to_owned(),
        "/sys/class/nvme/nvme3: no namespace".to_owned(),
    ];
    let commands = vec!["nvme disconnect --device nvme3"];
    let findings = look_without_asking(&root(&fake));
    assert_eq!(only(&findings), (FindingKind::ControllerWithoutNamespaces, "nvme3", seen, commands));
}
