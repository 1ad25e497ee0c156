//! The right disk or none: leftovers, paths that disagree, identities the caller names.

use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::{Value, json};

use crate::check::{IQN, IQN2, all_paths, attach, connect, detach, merged, multipath, one_path, settings, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Trouble, Volume, log_book};

/// A volume was attached and not detached; now its LUN maps volume 2.
fn host_with_leftover() -> (FakeHost, Value) {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    fake.map_lun(IQN, 1, Volume::number(2));
    fake.forget_journal();
    (fake, properties)
}

/// SE-08: the disk of another tenant.
#[test]
fn ic_38_a_leftover_disk_is_not_returned() {
    let (fake, properties) = host_with_leftover();
    let attachment = attach(&fake, &properties, &single());
    assert_eq!(attachment.scsi_wwn, Volume::number(2).id());
    let writes = fake.done("write");
    assert_eq!(writes[..2], ["write 1 > /sys/block/sda/device/rescan", "write 1 > /sys/block/sda/device/delete"]);
    assert!(writes[2].starts_with("write 0 0 1 > "), "{writes:?}");
    let links = fake.tree().names("/dev/disk/by-id");
    let id = Volume::number(2).id();
    assert_eq!(links, [format!("scsi-{id}"), format!("wwn-0x{}", &id[1..])], "no link names the old volume");
}

#[test]
fn ic_38_a_leftover_in_use_is_an_error_and_stays() {
    let (fake, properties) = host_with_leftover();
    fake.build_on("sda", "dm-3", "secret", "CRYPT-LUKS2-abcdef");
    let error = connect(&fake, &properties, &single()).expect_err("the leftover cannot go");
    let Error::WrongIdentity { device, reason } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(device, "/dev/sda");
    assert!(reason.contains(&Volume::number(1).id()) && reason.contains("secret"), "{reason}");
    assert_eq!(fake.disks(), ["sda"]);
    assert_eq!(fake.done("delete"), Vec::<String>::new());
}

#[test]
fn ic_38_a_leftover_map_goes_with_its_paths() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.map_lun(IQN, 1, Volume::number(2));
    let attachment = attach(&fake, &properties, &multipath());
    assert_eq!(attachment.multipath_id, Some(Volume::number(2).id()));
    fake.wait_for("both paths in the new map", |state| state.maps.values().any(|map| map.slaves.len() == 2));
    let maps: Vec<String> = fake.machine.state().maps.values().map(|map| map.wwid.clone()).collect();
    assert_eq!(maps, [Volume::number(2).id()]);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// Somebody's rescan told the kernel already; the map still goes under the old name.
#[test]
fn ic_38_a_leftover_map_over_rescanned_disks_is_seen() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.map_lun(IQN, 1, Volume::number(2));
    {
        let mut state = fake.machine.state();
        ["sda", "sdb"].iter().for_each(|disk| fake.machine.rescan_disk(&mut state, disk));
    }
    let attachment = connect(&fake, &properties, &multipath()).expect("the leftover can go");
    assert_eq!(attachment.multipath_id, Some(Volume::number(2).id()));
}

/// A map named by another designator of the same disks is no leftover.
#[test]
fn ic_38_a_map_named_by_another_designator_is_kept() {
    let (fake, portals) = host_with_portals::<2>();
    let naa = Volume::number(1);
    let page = crate::support::vpd::page83(&[
        crate::support::vpd::Designator { code_set: 2, association: 0, kind: 1, value: b"VENDOR  serial-7" },
        crate::support::vpd::Designator {
            code_set: 1,
            association: 0,
            kind: 3,
            value: &crate::support::vpd::bytes(&naa.id()[1..]),
        },
    ]);
    let volume = Volume { page: Some(page), udev_id: Some("1VENDOR_serial-7".to_owned()), ..naa };
    fake.map_lun(IQN, 1, volume);
    let properties = all_paths(&portals, IQN, 1);
    let first = attach(&fake, &properties, &multipath());
    assert_eq!(first.multipath_id.as_deref(), Some("1VENDOR_serial-7"));
    assert_eq!(attach(&fake, &properties, &multipath()), first);
    assert_eq!(fake.done("delete"), Vec::<String>::new());
}

/// A disk that cannot be asked is not handed out.
#[test]
fn ic_38_a_disk_that_does_not_answer_is_not_returned() {
    let (fake, portal) = host_with_volume();
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    fake.trouble("rescan", Trouble::Refused);
    connect(&fake, &properties, &single()).expect_err("nobody knows what the disk is");
}

fn host_with_two_volumes() -> (FakeHost, [String; 2]) {
    let fake = FakeHost::new();
    // As on real machines: the foreign disk has gone before udev has told multipathd.
    fake.behave(|manners| manners.map_delay = std::time::Duration::from_millis(200));
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals[..1]);
    fake.target(IQN2, &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun(IQN2, 1, Volume::number(2));
    (fake, portals)
}

fn list(portals: &[String; 2]) -> Value {
    json!({"target_portals": portals, "target_iqns": [IQN, IQN2], "target_luns": [1, 1]})
}

/// SE-08: which of the two is the volume, nobody can say.
#[test]
fn paths_with_different_identities_are_refused() {
    let (fake, portals) = host_with_two_volumes();
    let error = connect(&fake, &list(&portals), &multipath()).expect_err("the paths disagree");
    assert!(matches!(error, Error::WrongIdentity { .. }), "{error:?}");
    fake.assert_clean();
}

/// SE-08: whichever path is up first, and whatever map it became.
#[test]
fn the_path_that_is_named_decides_between_identities() {
    let (fake, portals) = host_with_two_volumes();
    let properties = merged(&list(&portals), &one_path(&portals[1], IQN2, 1));
    let attachment = attach(&fake, &properties, &multipath());
    assert_eq!(attachment.multipath_id, Some(Volume::number(2).id()));
    fake.wait_for("the other path going", |state| state.disks.len() == 1);
    assert!(fake.has_session(&portals[1], IQN2));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

#[test]
fn ic_38_an_identity_that_differs_from_the_properties_is_a_warning() {
    log_book::open();
    let own = Volume::number(1).id();
    for (other, named) in [
        ("60014057777777777777777777777771", json!({"wwn": "60014057777777777777777777777771"})),
        ("60014057777777777777777777777772", json!({"scsi_wwn": "60014057777777777777777777777772"})),
        // Each of the two is held against the disk.
        ("60014057777777777777777777777773", json!({"wwn": own, "scsi_wwn": "60014057777777777777777777777773"})),
    ] {
        let (fake, portal) = host_with_volume();
        let properties = merged(&one_path(&portal, IQN, 1), &named);
        assert_eq!(attach(&fake, &properties, &single()).path, "/dev/sda");
        let told = format!(
            "WARN os_brick.engine.devices /dev/sda: the connection properties name the volume {other}, the disk says \
             {own}; used all the same, set [os_brick] enforce_identity to refuse it"
        );
        assert_eq!(log_book::lines_with(other), [told]);
    }
}

/// The refused disk is taken away again; the locks of the attach must not be in the way of that.
#[test]
fn ic_38_enforced_an_identity_that_differs_is_refused() {
    for use_multipath in [true, false] {
        let (fake, portals) = host_with_portals::<2>();
        let named = json!({"wwn": Volume::number(1).id(), "scsi_wwn": "60014059999999999999999999999999"});
        let properties = merged(&all_paths(&portals, IQN, 1), &named);
        let settings = settings(&json!({"use_multipath": use_multipath, "enforce_identity": true}));
        let error = connect(&fake, &properties, &settings).expect_err("the identity is another");
        let Error::WrongIdentity { reason, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(reason.contains("60014059999999999999999999999999"), "{reason}");
        assert!(reason.contains(&Volume::number(1).id()), "{reason}");
        fake.assert_clean();
    }
}

/// What somebody else attached is theirs, whatever these properties say of it.
#[test]
fn ic_38_a_volume_that_is_attached_already_stays_when_it_is_refused() {
    for use_multipath in [true, false] {
        let (fake, portals) = host_with_portals::<2>();
        let chosen = json!({"use_multipath": use_multipath});
        let properties = all_paths(&portals, IQN, 1);
        let attached = attach(&fake, &properties, &settings(&chosen));
        fake.settle();
        let disks = fake.disks();
        let wrong = merged(&properties, &json!({"wwn": "60014059999999999999999999999999"}));
        let enforced = settings(&merged(&chosen, &json!({"enforce_identity": true})));
        connect(&fake, &wrong, &enforced).expect_err("the identity is another");
        assert_eq!(fake.disks(), disks);
        assert_eq!(attach(&fake, &properties, &settings(&chosen)), attached);
        detach(&fake, &properties, &settings(&chosen));
        fake.assert_clean();
    }
}

#[test]
fn an_identity_is_the_same_in_every_form_drivers_use() {
    let id = Volume::number(0xab).id();
    for form in
        [id.clone(), id[1..].to_owned(), id[1..].to_uppercase(), format!("0x{}", &id[1..]), format!("naa.{}", &id[1..])]
    {
        let (fake, portal) = host_with_volume();
        fake.map_lun(IQN, 1, Volume::number(0xab));
        let properties = merged(&one_path(&portal, IQN, 1), &json!({"wwn": form}));
        attach(&fake, &properties, &settings(&json!({"enforce_identity": true})));
    }
}

/// A path that turns out to be another volume's has become a path of that volume's map by then: the map stays.
#[test]
fn ic_03_the_map_of_another_volume_stays_when_a_path_of_it_is_refused() {
    let (fake, [mine]) = host_with_portals();
    let [theirs, shared] = fake.portals();
    fake.target(IQN2, &[&theirs, &shared]);
    fake.map_lun(IQN2, 1, Volume::number(2));
    let of_other = one_path(&theirs, IQN2, 1);
    let others = attach(&fake, &all_paths(&[&theirs], IQN2, 1), &multipath());
    // Nothing is decided before the foreign disk has joined the other volume's map.
    let joined = Trouble::Until(|state| state.maps.values().any(|map| map.slaves.len() == 2));
    fake.trouble(&format!("-p {mine} --login"), joined);
    let properties = json!({
        "target_portal": mine, "target_iqn": IQN, "target_lun": 1,
        "target_portals": [mine, shared], "target_iqns": [IQN, IQN2], "target_luns": [1, 1],
    });
    let attachment = attach(&fake, &properties, &multipath());
    assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
    assert!(fake.disk(&shared, IQN2, 1).is_none(), "{}", fake.story());
    assert_eq!(fake.done("del map"), Vec::<String>::new());
    assert_eq!(fake.done("disablequeueing"), Vec::<String>::new());
    assert!(
        fake.tree()
            .read("/etc/multipath/wwids")
            .is_some_and(|known| known.contains(&format!("\n/{}/", Volume::number(2).id()))
                || known.starts_with(&format!("/{}/", Volume::number(2).id())))
    );
    assert_eq!(attach(&fake, &all_paths(&[&theirs], IQN2, 1), &multipath()), others);
    detach(&fake, &properties, &multipath());
    detach(&fake, &of_other, &multipath());
    fake.assert_clean();
}

/// A second attach of a volume fails after it has found one more path: the first one's map stays.
#[test]
fn ic_27_an_attach_that_fails_takes_its_own_path_out_of_a_map_in_use() {
    let (fake, [first, second]) = host_with_portals();
    let attached = attach(&fake, &all_paths(&[&first], IQN, 1), &multipath());
    let join = Trouble::Then(|machine, state| {
        let sid = *state.sessions.keys().next_back().expect("the second session is there");
        let disk = state.disk_at(sid, 1).expect("the disk comes with the write");
        machine.multipathd_sees(state, &disk);
    });
    fake.behave(|manners| manners.disk_delay = Duration::ZERO);
    fake.trouble("host3/scan", join);
    let wrong = merged(&all_paths(&[&first, &second], IQN, 1), &json!({"wwn": "60014059999999999999999999999999"}));
    let enforced = settings(&json!({"use_multipath": true, "enforce_identity": true}));
    connect(&fake, &wrong, &enforced).expect_err("the identity is another");
    assert_eq!(fake.disks(), ["sda"]);
    assert_eq!(fake.slaves(), ["sda"]);
    assert!(!fake.has_session(&second, IQN));
    assert_eq!(fake.done("del map"), Vec::<String>::new());
    assert_eq!(attach(&fake, &all_paths(&[&first], IQN, 1), &multipath()), attached);
    detach(&fake, &all_paths(&[&first], IQN, 1), &multipath());
    fake.assert_clean();
}
