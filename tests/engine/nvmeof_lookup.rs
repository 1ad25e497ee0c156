//! Where a volume is: guesses shorten the search, and what the kernel shows decides.

use serde_json::{Value, json};

use crate::nvmeof_check::{NQN, NQN2, listed, volume_paths};
use crate::support::FakeHost;
use crate::support::nvme::{HOST_NQN, Namespace};

/// What names a namespace of one of the subsystems.
fn by(nqn: &str, portals: &[&String], key: &str, identity: impl Into<Value>) -> Value {
    let portals: Vec<Value> = portals.iter().map(|portal| listed(portal)).collect();
    json!({"target_nqn": nqn, "portals": portals, key: identity.into()})
}

fn nguid(number: u8) -> String {
    Namespace::number(number).nguid.expect("they all have one")
}

/// A link of udev's for a namespace without a UUID.
fn link(number: u8) -> String {
    format!("/dev/disk/by-id/nvme-eui.{}", nguid(number).replace('-', ""))
}

fn without_uuid(number: u8) -> Namespace {
    Namespace { uuid: None, ..Namespace::number(number) }
}

/// Two controllers of a subsystem with these namespaces, which appeared in this order.
fn attached(fake: &FakeHost, nqn: &str, namespaces: &[(u32, Namespace)]) -> [String; 2] {
    let portals = fake.portals();
    fake.subsystem(nqn, &portals);
    let controllers = portals.clone().map(|portal| fake.connected(&portal, nqn, "live"));
    for (nsid, namespace) in namespaces {
        fake.map_namespace(nqn, *nsid, namespace.clone());
        for controller in &controllers {
            let number = controller.trim_start_matches("nvme").parse().expect("a controller has a number");
            fake.machine.look_for_namespaces(&mut fake.machine.state(), number);
        }
    }
    portals
}

#[test]
fn a_link_of_an_nguid_is_believed_when_the_kernel_shows_the_same() {
    let fake = FakeHost::nvme();
    let [a, b] = attached(&fake, NQN, &[(1, without_uuid(1)), (2, without_uuid(2))]);
    let second = by(NQN, &[&a, &b], "volume_nguid", nguid(2));
    assert_eq!(fake.tree().link_name(&link(2)).as_deref(), Some("nvme0n2"));
    assert_eq!(volume_paths(&fake, &second), ["/dev/nvme0n2"]);
    // In the place of the UUID the kernel shows the NGUID, and upstream takes one for the other.
    assert_eq!(volume_paths(&fake, &by(NQN, &[&a, &b], "vol_uuid", nguid(2))), ["/dev/nvme0n2"]);
    // udev is behind the kernel, its link leads to nothing, to no namespace, or there is none.
    for wrong in ["nvme0n1", "nvme7n1", "sda", "null"] {
        fake.tree().link(&link(2), &format!("/dev/{wrong}"));
        assert_eq!(volume_paths(&fake, &second), ["/dev/nvme0n2"], "{wrong}");
    }
    fake.tree().remove(&link(2));
    assert_eq!(volume_paths(&fake, &second), ["/dev/nvme0n2"]);
}

/// Another array has a volume of the same NGUID, a copy, and udev has one link for both.
#[test]
fn a_link_of_an_nguid_that_leads_to_another_subsystem_is_not_believed() {
    let fake = FakeHost::nvme();
    let [here, _] = attached(&fake, NQN, &[(1, without_uuid(1))]);
    let [there, _] = attached(&fake, NQN2, &[(1, without_uuid(2)), (2, without_uuid(1))]);
    for device in ["nvme0n1", "nvme1n2"] {
        fake.tree().link(&link(1), &format!("/dev/{device}"));
        assert_eq!(volume_paths(&fake, &by(NQN, &[&here], "volume_nguid", nguid(1))), ["/dev/nvme0n1"], "{device}");
        assert_eq!(volume_paths(&fake, &by(NQN2, &[&there], "volume_nguid", nguid(1))), ["/dev/nvme1n2"], "{device}");
    }
    assert_eq!(volume_paths(&fake, &by(NQN, &[&here], "volume_nguid", nguid(2))), Vec::<String>::new());
}

/// udev's link names the UUID where there is one.
#[test]
fn a_namespace_with_a_uuid_is_found_by_its_nguid() {
    let fake = FakeHost::nvme();
    let [a, b] = attached(&fake, NQN, &[(1, Namespace::number(1)), (2, Namespace::number(2))]);
    assert!(!fake.tree().exists(&link(2)));
    assert_eq!(volume_paths(&fake, &by(NQN, &[&a, &b], "volume_nguid", nguid(2))), ["/dev/nvme0n2"]);
}

/// The number of a device is that of its namespace only as long as they appear in order.
#[test]
fn a_device_of_the_same_number_is_believed_when_it_is_the_namespace() {
    let fake = FakeHost::nvme();
    let namespaces = [(3, Namespace::number(3)), (2, Namespace::number(2)), (1, Namespace::number(1))];
    let [a, b] = attached(&fake, NQN, &namespaces);
    attached(&fake, NQN2, &[(1, Namespace::number(4)), (4, Namespace::number(5))]);
    for (nsid, device) in [(1, "/dev/nvme0n3"), (2, "/dev/nvme0n2"), (3, "/dev/nvme0n1")] {
        assert_eq!(volume_paths(&fake, &by(NQN, &[&a, &b], "ns_id", nsid)), [device]);
    }
    assert_eq!(volume_paths(&fake, &by(NQN, &[&a, &b], "ns_id", 4)), Vec::<String>::new(), "another subsystem has it");
}

/// The subsystem is the target's, but nothing that was asked for leads there.
#[test]
fn only_the_controllers_of_the_target_count() {
    let fake = FakeHost::nvme();
    let [a, b] = attached(&fake, NQN, &[(1, Namespace::number(1))]);
    let elsewhere = fake.portal();
    for (key, identity) in [("ns_id", json!(1)), ("volume_nguid", json!(nguid(1)))] {
        let of = |portals: &[&String]| volume_paths(&fake, &by(NQN, portals, key, identity.clone()));
        assert_eq!(of(&[&elsewhere]), Vec::<String>::new());
        assert_eq!(of(&[&elsewhere, &b]), ["/dev/nvme0n1"]);
        let mut other_host = by(NQN, &[&a], key, identity.clone());
        other_host["host_nqn"] = json!(format!("{HOST_NQN}0"));
        assert_eq!(volume_paths(&fake, &other_host), Vec::<String>::new());
    }
}

/// Linux before 4.15 shows no subsystems; one that goes, or was made anew, may stand beside that of the same name; and the
/// number a name had last may be another subsystem's.
#[test]
fn a_subsystem_is_a_guess_too() {
    let fake = FakeHost::nvme();
    let [a, b] = attached(&fake, NQN, &[(1, Namespace::number(1)), (2, Namespace::number(2))]);
    let found = || {
        ["ns_id", "volume_nguid"].map(|key| {
            let identity = if key == "ns_id" { json!(2) } else { json!(nguid(2)) };
            volume_paths(&fake, &by(NQN, &[&a, &b], key, identity))
        })
    };
    let both = [["/dev/nvme0n2"], ["/dev/nvme0n2"]];
    assert_eq!(found(), both);
    for beside in ["nvme-subsys8", "nvme-subsys9"] {
        fake.tree().write(&format!("/sys/devices/virtual/nvme-subsystem/{beside}/subsysnqn"), format!("{NQN}\n"));
        fake.tree().link(
            &format!("/sys/class/nvme-subsystem/{beside}"),
            &format!("/sys/devices/virtual/nvme-subsystem/{beside}"),
        );
        assert_eq!(found(), both);
    }
    fake.tree().write("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/subsysnqn", format!("{NQN2}\n"));
    assert_eq!(found(), both);
    assert_eq!(volume_paths(&fake, &by(NQN2, &[&a, &b], "ns_id", 2)), Vec::<String>::new());
    fake.tree().remove("/sys/class/nvme-subsystem/nvme-subsys0");
    assert_eq!(found(), both);
    fake.tree().remove("/sys/class/nvme-subsystem");
    assert_eq!(found(), both);
}

/// Each controller has a device of its own: that of the first portal is the volume's.
#[test]
fn without_native_multipath_the_first_portal_decides() {
    let fake = FakeHost::nvme();
    fake.without_native_multipath();
    let [a, b] = attached(&fake, NQN, &[(1, without_uuid(1)), (2, without_uuid(2))]);
    for (key, identity) in [("ns_id", json!(2)), ("volume_nguid", json!(nguid(2)))] {
        assert_eq!(volume_paths(&fake, &by(NQN, &[&a, &b], key, identity.clone())), ["/dev/nvme0n2"], "{key}");
        assert_eq!(volume_paths(&fake, &by(NQN, &[&b, &a], key, identity)), ["/dev/nvme1n2"], "{key}");
    }
}

/// The numbers of devices and controllers are given away again: what a look-up came to is a guess the next time.
#[test]
fn where_a_namespace_was_the_last_time_is_a_guess() {
    let fake = FakeHost::nvme();
    let [a, b] = attached(&fake, NQN, &[(1, Namespace::number(1)), (2, Namespace::number(2))]);
    let found = |key: &str, identity: Value| volume_paths(&fake, &by(NQN, &[&a, &b], key, identity));
    for _ in 0..2 {
        assert_eq!(found("volume_nguid", json!(nguid(2))), ["/dev/nvme0n2"]);
        assert_eq!(found("ns_id", json!(2)), ["/dev/nvme0n2"]);
    }
    let show = |device: &str, attribute: &str, text: &str| {
        for controller in 0..2 {
            let path = format!("/sys/class/nvme-fabrics/ctl/nvme{controller}/nvme0c{controller}{device}/{attribute}");
            fake.tree().write(&path, format!("{text}\n"));
        }
    };
    show("n2", "nguid", &nguid(1));
    show("n1", "nguid", &nguid(2));
    assert_eq!(found("volume_nguid", json!(nguid(2))), ["/dev/nvme0n1"]);
    show("n2", "nsid", "1");
    show("n1", "nsid", "2");
    assert_eq!(found("ns_id", json!(2)), ["/dev/nvme0n1"]);
    // The controller leads to another subsystem by now.
    for controller in 0..2 {
        fake.tree().write(&format!("/sys/class/nvme-fabrics/ctl/nvme{controller}/subsysnqn"), format!("{NQN2}\n"));
    }
    assert_eq!(found("volume_nguid", json!(nguid(2))), Vec::<String>::new());
    assert_eq!(found("ns_id", json!(2)), Vec::<String>::new());
}
