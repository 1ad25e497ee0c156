//! The node record: made once, completed in the file, put right after the login, gone after the detach.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;

use os_brick_engine::error::Error;
use os_brick_engine::host::act::files;
use os_brick_engine::host::view::node_record;
use serde_json::{Value, json};

use crate::check::{IQN, all_paths, attach, connect, detach, merged, multipath, one_path, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::machine::Login;
use crate::support::{FakeHost, Trouble, Volume, node_db};

const SECRET: &str = "kept-2-yourself";

fn with_chap(properties: &Value) -> Value {
    merged(properties, &json!({"auth_method": "CHAP", "auth_username": "nova", "auth_password": SECRET}))
}

/// IC-18: manual scan, whoever made the record; IC-29: automatic startup.
#[test]
fn ic_17_a_login_is_tried_once_with_manual_scan() {
    let (fake, portal) = host_with_volume();
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    let expected = Login {
        portal: portal.clone(),
        iqn: IQN.to_owned(),
        retries: "1".to_owned(),
        scan: "manual".to_owned(),
        startup: "automatic".to_owned(),
    };
    assert_eq!(fake.logins(), [expected]);
    let record = fake.record(&portal, IQN).expect("the record stays with its session");
    assert_eq!(record.get("node.session.initial_login_retry_max"), Some("8"), "as the operator configured");
    assert_eq!(record.get("node.session.scan"), Some("manual"));
    assert_eq!(record.get("node.startup"), Some("automatic"));
}

#[test]
fn ic_18_a_record_of_discovery_is_completed_and_deleted_by_iscsiadm() {
    let (fake, portal) = host_with_volume();
    node_db::write_discovered(fake.tree(), &portal, IQN);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    assert_eq!(fake.logins()[0].scan, "manual");
    assert_eq!(fake.done("--op new"), Vec::<String>::new(), "the record there is serves");
    detach(&fake, &properties, &single());
    assert_eq!(fake.done("--op delete"), [format!("iscsiadm -m node -T {IQN} -p {portal} --op delete")]);
    fake.assert_clean();
}

#[test]
fn what_the_operator_wrote_into_a_record_stays() {
    let (fake, portal) = host_with_volume();
    let mut record = node_db::fresh(fake.tree(), &portal, IQN, "default");
    record.set("node.session.timeo.replacement_timeout", "7");
    node_db::write(fake.tree(), &node_db::place(&portal, IQN), &record);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    let record = fake.record(&portal, IQN).expect("there is a record");
    assert_eq!(record.get("node.session.timeo.replacement_timeout"), Some("7"));
}

/// An attach was killed during its login: the next one's record does not say one try for ever.
#[test]
fn ic_27_the_one_try_of_a_killed_attach_does_not_stay() {
    for (configured, expected) in [("", "8"), ("node.session.initial_login_retry_max = 4\n", "4")] {
        let (fake, portal) = host_with_volume();
        let mut record = node_db::fresh(fake.tree(), &portal, IQN, "default");
        for (name, value) in [
            ("node.session.initial_login_retry_max", "1"),
            ("node.session.scan", "manual"),
            ("node.startup", "automatic"),
        ] {
            record.set(name, value);
        }
        node_db::write(fake.tree(), &node_db::place(&portal, IQN), &record);
        fake.tree().write("/etc/iscsi/iscsid.conf", configured);
        attach(&fake, &one_path(&portal, IQN, 1), &single());
        assert_eq!(fake.logins()[0].retries, "1");
        let record = fake.record(&portal, IQN).expect("the record stays with its session");
        assert_eq!(record.get("node.session.initial_login_retry_max"), Some(expected));
    }
}

#[test]
fn one_record_is_made_for_four_portals() {
    let (fake, portals) = host_with_portals::<4>();
    attach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    assert_eq!(fake.done("--op new").len(), 1, "{:#?}", fake.journal());
    assert_eq!(fake.done("--op update"), Vec::<String>::new());
    assert_eq!(fake.logins().len(), 4);
    for portal in &portals {
        let record = fake.record(portal, IQN).expect("each portal has its record");
        let (address, port) = portal.split_once(':').expect("a portal has a port");
        assert_eq!(record.get("node.conn[0].address"), Some(address));
        assert_eq!(record.get("node.conn[0].port"), Some(port));
        assert_eq!(record.get("node.name"), Some(IQN));
    }
}

/// What iscsid.conf says goes into new records, also when it changes while the service runs.
#[test]
fn a_changed_configuration_makes_new_records() {
    let (fake, [first, second, third]) = host_with_portals();
    attach(&fake, &one_path(&first, IQN, 1), &single());
    fake.tree().write("/etc/iscsi/iscsid.conf", "node.session.timeo.replacement_timeout = 5\n");
    attach(&fake, &one_path(&second, IQN, 1), &single());
    attach(&fake, &one_path(&third, IQN, 1), &single());
    assert_eq!(fake.done("--op new").len(), 2);
    for portal in [&second, &third] {
        let record = fake.record(portal, IQN).expect("there is a record");
        assert_eq!(record.get("node.session.timeo.replacement_timeout"), Some("5"));
    }
}

/// LK-06: code 6 with a message: others are at the database.
#[test]
fn ic_31_a_busy_database_is_asked_again() {
    let (fake, portal) = host_with_volume();
    fake.trouble_times(3, "--op new", Trouble::Exit(6, "iscsiadm: Could not lock discovery DB"));
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.done("--op new").len(), 4);
}

/// SE-01, SE-07, SE-08: the password is in the record (mode 0600) and nowhere else.
#[test]
fn se_01_a_chap_secret_is_in_the_record_alone() {
    let (fake, portal) = host_with_volume();
    fake.require_chap(IQN, "nova", SECRET);
    let properties = with_chap(&one_path(&portal, IQN, 1));
    attach(&fake, &properties, &single());
    assert!(!fake.journal().concat().contains(SECRET), "{:#?}", fake.journal());
    let file = node_db::place(&portal, IQN);
    let mode = std::fs::metadata(fake.tree().place(&file)).expect("there is a record").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let holding: Vec<String> = fake
        .tree()
        .files_below("")
        .into_iter()
        .filter(|file| fake.tree().read(file).is_some_and(|text| text.contains(SECRET)))
        .collect();
    assert_eq!(holding, [file]);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// SE-07, IC-29: code 24 is not tried again, and says nothing secret.
#[test]
fn se_07_a_refused_secret_is_not_in_the_error() {
    let (fake, portal) = host_with_volume();
    fake.require_chap(IQN, "nova", "another");
    let error = connect(&fake, &with_chap(&one_path(&portal, IQN, 1)), &single()).expect_err("CHAP refuses");
    let Error::DeviceNotFound { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("exit 24"), "{reason}");
    assert!(!format!("{error:?} {error} {}", error.describe()).contains(SECRET));
    assert_eq!(fake.done("--login").len(), 1);
    fake.assert_clean();
}

/// not even while it fails does a command line show it.
#[test]
fn se_01_discovery_credentials_are_in_no_argument_list() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.require_discovery_chap("nova", SECRET);
    let credentials = json!({
        "discovery_auth_method": "CHAP", "discovery_auth_username": "nova", "discovery_auth_password": SECRET,
    });
    let properties = merged(&one_path(&portals[0], IQN, 1), &credentials);
    let attachment = attach(&fake, &properties, &multipath());
    assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
    assert!(!fake.journal().concat().contains(SECRET), "{:#?}", fake.journal());
    assert_eq!(fake.tree().names("/etc/iscsi/send_targets"), Vec::<String>::new());
}

/// Two volumes behind one portal, each with credentials of its own for the discovery.
fn host_with_discovery_chap() -> (FakeHost, [String; 2], [Value; 2]) {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals);
    (1..=2).for_each(|lun| fake.map_lun(IQN, lun, Volume::number(u8::try_from(lun).expect("small"))));
    fake.require_discovery_chap("nova", SECRET);
    let credentials = json!({
        "discovery_auth_method": "CHAP", "discovery_auth_username": "nova", "discovery_auth_password": SECRET,
    });
    let volumes = [1, 2].map(|lun| merged(&one_path(&portals[0], IQN, lun), &credentials));
    (fake, portals, volumes)
}

/// IC-04, X-18: the one discovery record of the portal is not deleted under the other's hands.
#[test]
fn ic_04_discoveries_with_credentials_take_turns() {
    let (fake, _, volumes) = host_with_discovery_chap();
    // The first holds its record until the second has had every chance to meet it.
    fake.trouble_times(1, "--discover", Trouble::Slow(std::time::Duration::from_millis(400)));
    std::thread::scope(|scope| {
        for properties in &volumes {
            scope.spawn(|| connect(&fake, properties, &multipath()).expect("both are discovered"));
        }
    });
    let steps: Vec<String> =
        fake.done("discoverydb").iter().map(|line| line.rsplit(' ').next().expect("a word").to_owned()).collect();
    assert_eq!(steps, ["new", "--discover", "delete", "new", "--discover", "delete"]);
    assert!(!fake.journal().concat().contains(SECRET), "{:#?}", fake.journal());
    assert_eq!(fake.tree().names("/etc/iscsi/send_targets"), Vec::<String>::new());
    volumes.iter().for_each(|properties| detach(&fake, properties, &multipath()));
    fake.assert_clean();
}

/// IC-05: the record is made, changed and used under the one interface.
#[test]
fn x_05_a_discovery_over_iser_keeps_its_interface() {
    let fake = FakeHost::new();
    let portal = fake.portal_elsewhere("10.9.9.9", 3260);
    fake.target(IQN, &[&portal]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.require_discovery_chap("nova", SECRET);
    let credentials = json!({
        "discovery_auth_method": "CHAP", "discovery_auth_username": "nova", "discovery_auth_password": SECRET,
    });
    let properties = merged(&one_path(&portal, IQN, 1), &credentials);
    attach(&fake, &properties, &merged(&multipath(), &json!({"interface": "iser"})));
    let lines = fake.done("discoverydb");
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.contains(" -I iser ")), "{lines:#?}");
}

/// when the record is not where it always is, the attach fails; the secret does not become an argument.
#[test]
fn se_01_a_discovery_record_that_cannot_be_found_is_an_error() {
    let (fake, _, [properties, _]) = host_with_discovery_chap();
    fake.trouble("--op new", Trouble::Ignored);
    let error = connect(&fake, &properties, &multipath()).expect_err("there is no record");
    assert!(error.to_string().contains("no discovery record"), "{error}");
    assert!(!fake.journal().concat().contains(SECRET), "{:#?}", fake.journal());
    fake.assert_clean();
}

/// The caller was killed in the middle of a discovery: the next one takes the record, with the secret in it, away.
#[test]
fn ic_27_the_discovery_record_of_a_killed_attach_goes() {
    let (fake, portals, [properties, _]) = host_with_discovery_chap();
    let killed = Trouble::Then(|machine, _| {
        let record = machine.tree.files_below("/etc/iscsi/send_targets").concat();
        let text = machine.tree.read(&record).expect("it is there while the portal is asked");
        let marks: Vec<String> =
            machine.tree.names("/etc/iscsi").into_iter().filter(|name| name.starts_with('.')).collect();
        machine.tree.write("/kept/record", text);
        marks.iter().for_each(|mark| machine.tree.write(&format!("/kept/marks/{mark}"), ""));
    });
    fake.trouble_times(1, "--discover", killed);
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties, &multipath());
    let kept = fake.tree().read("/kept/record").expect("it was seen");
    assert!(kept.contains(SECRET));
    fake.tree().write(&node_db::discovery_place(&portals[0]), kept);
    for mark in fake.tree().names("/kept/marks") {
        fake.tree().write(&format!("/etc/iscsi/{mark}"), "");
    }
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// Killed after the login, while the record was put right: the next attach uses the session and writes no record.
#[test]
fn ic_27_the_unfinished_record_of_a_killed_attach_goes_with_the_volume() {
    let (fake, portal) = host_with_volume();
    let properties = with_chap(&one_path(&portal, IQN, 1));
    attach(&fake, &properties, &single());
    let unfinished = os_brick_engine::host::act::lock::fnv1a(node_db::place(&portal, IQN).as_bytes());
    fake.tree().write(&format!("/etc/iscsi/.os-brick-{unfinished:016x}"), SECRET);
    attach(&fake, &properties, &single());
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// IC-15: what the operator keeps in the portal's discovery record is there again afterwards.
#[test]
fn ic_04_an_operators_discovery_record_stays_as_it_was() {
    let (fake, portals, [properties, _]) = host_with_discovery_chap();
    let text = "# BEGIN RECORD 2.1.8\ndiscovery.startup = automatic\ndiscovery.type = sendtargets\n\
                discovery.sendtargets.auth.authmethod = CHAP\ndiscovery.sendtargets.auth.username = operator\n\
                discovery.sendtargets.auth.password = of-the-operator\n# END RECORD\n";
    fake.tree().write(&node_db::discovery_place(&portals[0]), text);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.tree().read(&node_db::discovery_place(&portals[0])).as_deref().map(str::trim), Some(text.trim()));
    assert_eq!(fake.done("--op delete"), Vec::<String>::new());
    detach(&fake, &properties, &multipath());
}

/// The secret of an attach that fails is gone with its record.
#[test]
fn se_01_no_record_with_a_secret_stays_behind() {
    let (fake, [first, second]) = host_with_portals();
    fake.require_chap(IQN, "nova", SECRET);
    fake.trouble("--login", Trouble::Exit(8, "iscsiadm: connection timed out"));
    connect(&fake, &with_chap(&all_paths(&[first, second], IQN, 1)), &multipath()).expect_err("no login succeeds");
    fake.assert_clean();
}

#[test]
fn id_16_a_record_without_a_session_goes_with_the_volume() {
    let (fake, portal) = host_with_volume();
    let record = node_db::fresh(fake.tree(), &portal, IQN, "default");
    node_db::write(fake.tree(), &node_db::place(&portal, IQN), &record);
    detach(&fake, &one_path(&portal, IQN, 1), &single());
    fake.assert_clean();
}

/// IC-16: discovery leaves the records of other volumes as they are, and makes none.
#[test]
fn ic_15_discovery_leaves_other_records_alone() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals);
    fake.target("iqn.other", &portals);
    fake.map_lun(IQN, 1, Volume::number(1));
    let mut other = node_db::fresh(fake.tree(), &portals[0], "iqn.other", "default");
    other.set("node.startup", "automatic");
    node_db::write(fake.tree(), &node_db::place(&portals[0], "iqn.other"), &other);
    let properties = one_path(&portals[0], IQN, 1);
    attach(&fake, &properties, &multipath());
    let before = other.text();
    let now = fake.record(&portals[0], "iqn.other").expect("it is not ours to delete");
    assert_eq!(now.text(), before);
    assert!(fake.record(&portals[1], "iqn.other").is_none());
    detach(&fake, &properties, &multipath());
    assert!(fake.record(&portals[0], "iqn.other").is_some());
}

/// The paths of a volume share the directory of their target: whoever takes the last record away takes the directory
/// too, while others are writing into it.
#[test]
fn a_record_is_not_lost_while_others_of_its_target_go() {
    const PATHS: usize = 8;
    const ROUNDS: usize = 150;
    let fake = FakeHost::new();
    fake.tree().directory("/etc/iscsi/nodes");
    let root = &fake.host().root;
    let directory = Path::new("/etc/iscsi/nodes").join(IQN);
    let together = Barrier::new(PATHS);
    let path = |number: usize| {
        let place = directory.join(format!("10.0.0.{number},3260"));
        together.wait();
        for round in 0..ROUNDS {
            let text = format!("node.name = {IQN}\nround {round}");
            files::write_secret(root, &place, &text, Path::new("/etc/iscsi")).expect("others only come and go");
            assert_eq!(node_record::read(root, &place).expect("it is a file"), Some(text));
            files::remove(root, &place).expect("it is there");
            files::remove_empty(root, &directory);
        }
    };
    std::thread::scope(|scope| {
        (0..PATHS).for_each(|number| drop(scope.spawn(move || path(number))));
    });
    assert_eq!(fake.tree().names("/etc/iscsi"), ["nodes"], "no scratch file stays");
    assert_eq!(fake.tree().names("/etc/iscsi/nodes"), Vec::<String>::new());
}
