//! Mirrors over NVMe-oF namespaces: made once, assembled ever after, never a raw leg.

use os_brick_engine::error::Error;
use serde_json::{Value, json};

use crate::check::merged;
use crate::nvmeof_check::{
    NQN, NQN2, attach, connect, detach, disconnect, extend, listed, settings, single, volume_paths,
};
use crate::support::nvme::{Namespace, uuid};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble};

const LEG: &str = "linux_raid_member vol";

/// A host with two replicas on two subsystems, and what they hold.
fn host(holds: [Option<&str>; 2]) -> (FakeHost, Value) {
    let fake = FakeHost::nvme();
    let portals = fake.portals::<2>();
    for ((nqn, portal), (number, holds)) in [NQN, NQN2].iter().zip(&portals).zip([1, 2].into_iter().zip(holds)) {
        fake.subsystem(nqn, &[portal]);
        fake.map_namespace(nqn, 1, Namespace { holds: holds.map(str::to_owned), ..Namespace::number(number) });
    }
    let replica = |nqn: &str, portal: &str, number| json!({"target_nqn": nqn, "portals": [listed(portal)], "vol_uuid": uuid(number)});
    let properties = json!({
        "vol_uuid": uuid(100), "alias": "vol", "replica_count": 2,
        "volume_replicas": [replica(NQN, &portals[0], 1), replica(NQN2, &portals[1], 2)],
    });
    (fake, properties)
}

fn impatient() -> Value {
    settings(&json!({"device_scan_attempts": 0}))
}

#[test]
fn md_04_legs_that_hold_nothing_become_an_array() {
    let (fake, properties) = host([None, None]);
    assert_eq!(attach(&fake, &properties, &single()), "/dev/md/vol");
    let done = fake.done("mdadm -C");
    assert_eq!(done.len(), 1);
    let legs = done[0].strip_prefix(
        "mdadm -C vol -R -N vol --level 1 --raid-devices=2 --bitmap=internal --homehost=any --failfast --assume-clean ",
    );
    let mut legs: Vec<&str> = legs.expect("upstream's command").split(' ').collect();
    legs.sort_unstable();
    assert_eq!(legs, ["/dev/nvme0n1", "/dev/nvme1n1"]);
    assert_eq!(volume_paths(&fake, &properties), ["/dev/md/vol"]);
    detach(&fake, &properties);
    fake.assert_no_nvme();
    // The second attach finds what the first made.
    assert_eq!(attach(&fake, &properties, &single()), "/dev/md/vol");
    assert_eq!(fake.done("mdadm -C").len(), 1);
    assert_eq!(fake.done("mdadm --assemble --run /dev/md/vol /dev/").len(), 1);
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

/// MD-04: an array without one of its legs goes on without it.
#[test]
fn md_04_an_array_is_assembled_from_the_legs_that_are_there() {
    let (fake, properties) = host([Some(LEG), Some(LEG)]);
    fake.unmap_namespace(NQN2, 1);
    assert_eq!(attach(&fake, &properties, &impatient()), "/dev/md/vol");
    assert_eq!(fake.done("mdadm --assemble").len(), 1);
    assert_eq!(fake.controllers().len(), 1, "the connection without a leg is given back");
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

/// MD-01, MD-04: decided by the count, and never made without all legs.
#[test]
fn md_01_an_array_is_not_made_of_some_of_its_legs() {
    let (fake, properties) = host([None, None]);
    fake.unmap_namespace(NQN2, 1);
    let one = json!([properties["volume_replicas"][0]]);
    for properties in [properties.clone(), merged(&properties, &json!({"volume_replicas": one}))] {
        let error = connect(&fake, &properties, &impatient()).expect_err("a leg is missing");
        assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
        assert_eq!(fake.done("mdadm -C"), Vec::<String>::new());
        fake.assert_no_nvme();
    }
}

/// MD-04: data that is there is never written over.
#[test]
fn md_04_a_leg_that_holds_something_is_not_made_into_an_array() {
    let (fake, properties) = host([None, Some("ext4")]);
    let error = connect(&fake, &properties, &single()).expect_err("there is a file system");
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert_eq!(fake.done("mdadm -C"), Vec::<String>::new());
    fake.assert_no_nvme();
}

/// MD-02: one replica that is a leg is an array without the other legs.
#[test]
fn md_02_a_single_leg_is_never_handed_out() {
    for (holds, path) in [(Some(LEG), "/dev/md/vol"), (None, "/dev/nvme0n1"), (Some("ext4"), "/dev/nvme0n1")] {
        let (fake, properties) = host([holds, None]);
        let one = json!({"volume_replicas": [properties["volume_replicas"][0]], "replica_count": 1});
        let properties = merged(&properties, &one);
        assert_eq!(attach(&fake, &properties, &single()), path);
        assert_eq!(volume_paths(&fake, &properties), [path]);
        detach(&fake, &properties);
        fake.assert_no_nvme();
    }
}

#[test]
fn md_03_no_replica_is_an_error() {
    let (fake, properties) = host([None, None]);
    fake.unmap_namespace(NQN, 1);
    fake.unmap_namespace(NQN2, 1);
    let error = connect(&fake, &properties, &impatient()).expect_err("nothing is there");
    assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
    fake.assert_no_nvme();
}

/// MD-05: the name comes after the array.
#[test]
fn md_05_the_name_of_the_array_is_waited_for() {
    let (fake, properties) = host([None, None]);
    fake.trouble_times(1, "mdadm -C", Trouble::Ignored);
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &properties, &single()));
        fake.wait_for("the array", |state| state.journal.iter().any(|line| line.starts_with("mdadm -C")));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!attach.is_finished());
        let legs = ["nvme0n1".to_owned(), "nvme1n1".to_owned()];
        let mut state = fake.machine.state();
        fake.machine.add_array(&mut state, "md127", "vol", &legs);
        drop(state);
        assert_eq!(attach.join().expect("no panic"), Ok("/dev/md/vol".to_owned()));
    });
}

/// MD-06: somebody looks at the array.
#[test]
fn md_06_a_stop_that_fails_is_tried_again() {
    let (fake, properties) = host([None, None]);
    attach(&fake, &properties, &single());
    fake.trouble_times(2, "mdadm --stop", Trouble::Exit(1, "mdadm: Cannot get exclusive access to /dev/md127"));
    detach(&fake, &properties);
    assert_eq!(fake.done("mdadm --stop").len(), 3);
    fake.assert_no_nvme();
}

/// What is on the array keeps it.
#[test]
fn an_array_in_use_stays() {
    let (fake, properties) = host([None, None]);
    attach(&fake, &properties, &single());
    fake.hold_device("md127", "dm-9");
    let error = disconnect(&fake, &properties, None, false).expect_err("it is in use");
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert_eq!(fake.done("mdadm --stop"), Vec::<String>::new());
    assert_eq!(fake.controllers().len(), 2);
}

/// udev was quicker, under a name of its own.
#[test]
fn an_array_of_another_name_is_stopped_first() {
    let (fake, properties) = host([Some(LEG), Some(LEG)]);
    fake.trouble_times(
        1,
        "mdadm --examine",
        Trouble::Then(|machine, state| {
            machine.add_array(state, "md125", "vol_0", &["nvme0n1".to_owned(), "nvme1n1".to_owned()]);
        }),
    );
    assert_eq!(attach(&fake, &properties, &single()), "/dev/md/vol");
    assert_eq!(fake.done("mdadm --stop"), ["mdadm --stop /dev/md125"]);
    assert_eq!(fake.done("mdadm -C"), Vec::<String>::new());
}

///
#[test]
fn x_14_an_array_that_cannot_be_assembled_is_an_error() {
    let (fake, properties) = host([Some(LEG), Some(LEG)]);
    fake.trouble("mdadm --assemble", Trouble::Exit(1, "mdadm: superblock on /dev/nvme1n1 doesn't match"));
    let error = connect(&fake, &properties, &single()).expect_err("it cannot be assembled");
    assert!(matches!(error, Error::Command(_)), "{error:?}");
    assert_eq!(fake.done("mdadm --assemble").len(), 5);
    fake.assert_no_nvme();
}

/// MD-07
#[test]
fn md_07_the_array_grows_with_its_legs() {
    let (fake, properties) = host([None, None]);
    attach(&fake, &properties, &single());
    for (nqn, number) in [(NQN, 1), (NQN2, 2)] {
        let namespace = Namespace { holds: Some(LEG.to_owned()), ..Namespace::number(number) };
        fake.map_namespace(nqn, 1, namespace.sized(2 * GIB));
    }
    assert_eq!(extend(&fake, &properties), Ok(2 * GIB));
    assert_eq!(fake.done("--grow"), ["mdadm --grow --size max /dev/md/vol"]);
}

///
#[test]
fn x_15_an_array_that_does_not_grow_is_an_error() {
    let (fake, properties) = host([None, None]);
    attach(&fake, &properties, &single());
    fake.trouble("--grow", Trouble::Exit(1, "mdadm: component size of /dev/md/vol unchanged"));
    let error = extend(&fake, &properties).expect_err("it did not grow");
    assert!(matches!(error, Error::Command(_)), "{error:?}");
}

/// MD-09
#[test]
fn md_09_a_mirror_needs_a_name() {
    let (fake, properties) = host([None, None]);
    let mut nameless = properties.clone();
    nameless.as_object_mut().expect("an object").remove("alias");
    for (count, properties) in [(2, &nameless), (1, &nameless)] {
        let one = json!([properties["volume_replicas"][0]]);
        let fewer = if count == 1 { json!({"volume_replicas": one, "replica_count": 1}) } else { json!({}) };
        let error = connect(&fake, &merged(properties, &fewer), &single()).expect_err("it has no name");
        assert_eq!(error.to_string(), "alias: Alias missing in connection info (got null)");
    }
    assert_eq!(fake.journal(), Vec::<String>::new());
}
