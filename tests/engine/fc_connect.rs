//! Attaching over Fibre Channel: the disk or map that is handed out, and under which name.

use std::time::Duration;

use os_brick_engine::error::Error;
use os_brick_engine::transports::fibre_channel::Attachment;
use serde_json::json;

use crate::check::{merged, multipath, settings, single, timed};
use crate::fc_check::{
    HOST_A, W, X, Y, Z, attach, by_path, connect, detach, one_fabric, two_fabrics, volume, volume_paths,
};
use crate::support::{FakeHost, Trouble, Volume};

fn map_of(volume: &Volume) -> Attachment {
    let id = volume.id();
    Attachment { path: format!("/dev/disk/by-id/dm-uuid-mpath-{id}"), scsi_wwn: id.clone(), multipath_id: Some(id) }
}

/// FC-17: a single path is handed out under its by-path link.
#[test]
fn fc_17_a_volume_becomes_a_disk_and_goes_again() {
    let (fake, host) = one_fabric();
    let properties = volume(&[W], 5);
    let expected = Attachment { path: by_path(host, W), scsi_wwn: Volume::number(1).id(), multipath_id: None };
    assert_eq!(attach(&fake, &properties, &single()), expected);
    assert_eq!(volume_paths(&fake, &properties, &single()), [by_path(host, W)]);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// udev may be behind the kernel: a link is the volume's when its disk is at the address.
#[test]
fn a_link_by_path_that_leads_elsewhere_is_not_believed() {
    let (fake, host) = one_fabric();
    fake.fc_map(&[W], 6, &Volume::number(2));
    let properties = volume(&[W], 5);
    attach(&fake, &properties, &single());
    attach(&fake, &volume(&[W], 6), &single());
    let other_name = by_path(host, W).replace("/pci-", "/acpi-pci-");
    fake.tree().link(&other_name, "/dev/sda");
    for wrong in ["/dev/sdb", "/dev/sdz"] {
        fake.tree().link(&by_path(host, W), wrong);
        assert_eq!(volume_paths(&fake, &properties, &single()), [other_name.as_str()], "{wrong}");
    }
}

/// MP-05: the map under its link by identity.
#[test]
fn mp_05_four_paths_become_one_map() {
    let (fake, ..) = two_fabrics();
    let properties = volume(&[W, X, Y, Z], 5);
    assert_eq!(attach(&fake, &properties, &multipath()), map_of(&Volume::number(1)));
    assert_eq!(fake.slaves(), ["sda", "sdb", "sdc", "sdd"]);
    assert_eq!(volume_paths(&fake, &properties, &multipath()).len(), 4);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// MP-05: with a friendly name the identity still names the map.
#[test]
fn mp_05_a_map_with_a_friendly_name_is_handed_out_by_its_identity() {
    let (fake, ..) = two_fabrics();
    fake.behave(|manners| manners.friendly_names = true);
    assert_eq!(attach(&fake, &volume(&[W, X, Y, Z], 5), &multipath()), map_of(&Volume::number(1)));
}

#[test]
fn fc_23_a_host_without_fibre_channel_says_so_before_anything_else() {
    let fake = FakeHost::new();
    for settings in [single(), settings(&json!({"lock_path": "/nowhere"}))] {
        assert_eq!(connect(&fake, &volume(&[W], 5), &settings), Err(Error::NoFibreChannelHosts));
    }
    assert_eq!(fake.journal(), Vec::<String>::new());
}

/// The first disk cannot be read; the second is handed out, and the detach takes both.
#[test]
fn fc_15_a_disk_that_cannot_be_read_is_passed_over() {
    let (fake, a, b) = two_fabrics();
    fake.behave(|manners| manners.forms_maps = false);
    fake.break_disk(&fake.fc_scan_in(a, W, 5));
    fake.fc_scan_in(b, Y, 5);
    let properties = volume(&[W, Y], 5);
    assert_eq!(attach(&fake, &properties, &single()).path, by_path(b, Y));
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// A disk that was there and does not say what it is is not used; another path is.
#[test]
fn fc_15_a_disk_that_does_not_answer_is_passed_over() {
    let (fake, a, b) = two_fabrics();
    fake.behave(|manners| manners.forms_maps = false);
    let dead = fake.fc_scan_in(a, W, 5);
    fake.trouble(&format!("{dead}/device/rescan"), Trouble::Refused);
    assert_eq!(attach(&fake, &volume(&[W, Y], 5), &single()).path, by_path(b, Y));
}

/// SE-08: a leftover of another tenant at the same address.
#[test]
fn ic_38_a_leftover_of_another_volume_is_removed_and_found_anew() {
    for settings in [single(), multipath()] {
        let (fake, a, b) = two_fabrics();
        let properties = volume(&[W, Y], 5);
        fake.fc_scan_in(a, W, 5);
        fake.fc_scan_in(b, Y, 5);
        fake.fc_map(&[W, X, Y, Z], 5, &Volume::number(2));
        let attachment = attach(&fake, &properties, &settings);
        assert_eq!(attachment.scsi_wwn, Volume::number(2).id());
        let maps: Vec<String> = fake.machine.state().maps.values().map(|map| map.wwid.clone()).collect();
        assert!(maps.iter().all(|wwid| *wwid == Volume::number(2).id()), "{maps:?}");
        detach(&fake, &properties, &settings);
        fake.assert_clean();
    }
}

#[test]
fn ic_38_a_leftover_that_is_used_is_an_error_and_stays() {
    let (fake, host) = one_fabric();
    fake.behave(|manners| manners.forms_maps = false);
    let disk = fake.fc_scan_in(host, W, 5);
    fake.build_on(&disk, "dm-3", "secret", "CRYPT-LUKS2-abcdef");
    fake.fc_map(&[W], 5, &Volume::number(2));
    let error = connect(&fake, &volume(&[W], 5), &single()).expect_err("the leftover cannot go");
    assert!(matches!(&error, Error::WrongIdentity { device, .. } if device == "/dev/sda"), "{error:?}");
    assert_eq!(fake.disks(), [disk]);
}

/// SE-08: ports that show different disks under one name of a volume.
#[test]
fn paths_with_different_identities_are_refused_and_go() {
    let (fake, ..) = two_fabrics();
    // As on real machines: the disks have gone before udev has told multipathd.
    fake.behave(|manners| manners.map_delay = Duration::from_millis(500));
    fake.fc_map(&[Y], 5, &Volume::number(2));
    // Also on a busy machine the second disk is there before anybody gives up waiting for it.
    let patient = settings(&json!({"use_multipath": true, "portal_grace_period": 60}));
    let error = connect(&fake, &volume(&[W, Y], 5), &patient);
    // Whichever came first, no disk of either is handed out.
    if let Ok(attachment) = &error {
        panic!("{attachment:?}");
    }
    fake.settle();
    assert_eq!(fake.disks(), Vec::<String>::new());
}

#[test]
fn an_identity_the_operator_enforces_is_refused_and_what_was_made_goes() {
    let (fake, ..) = two_fabrics();
    let properties = merged(&volume(&[W, Y], 5), &json!({"wwn": "60014059999999999999999999999999"}));
    assert_eq!(attach(&fake, &properties, &multipath()).scsi_wwn, Volume::number(1).id());
    detach(&fake, &properties, &multipath());
    for use_multipath in [true, false] {
        let settings = settings(&json!({"use_multipath": use_multipath, "enforce_identity": true}));
        let (outcome, took) = timed(|| connect(&fake, &properties, &settings));
        let error = outcome.expect_err("the identity is another");
        assert!(matches!(error, Error::WrongIdentity { .. }), "{error:?}");
        assert!(took.own < Duration::from_secs(20), "{took:?}");
        fake.assert_clean();
    }
}

#[test]
fn mp_10_a_map_that_is_read_only_is_reloaded() {
    let (fake, ..) = two_fabrics();
    let properties = volume(&[W, Y], 5);
    attach(&fake, &properties, &multipath());
    fake.tree().write("/sys/block/dm-0/ro", "1\n");
    fake.forget_journal();
    fake.machine.later(Duration::from_millis(300), |machine, _| machine.tree.write("/sys/block/dm-0/ro", "0\n"));
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.done("multipath -r"), ["multipath -r"]);
    fake.tree().write("/sys/block/dm-0/ro", "1\n");
    fake.forget_journal();
    attach(&fake, &merged(&properties, &json!({"access_mode": "ro"})), &multipath());
    assert_eq!(fake.done("multipath -r"), Vec::<String>::new());
}

#[test]
fn attaching_twice_gives_the_same_disk() {
    let (fake, _) = one_fabric();
    let properties = volume(&[W], 5);
    let first = attach(&fake, &properties, &single());
    fake.forget_journal();
    assert_eq!(attach(&fake, &properties, &single()), first);
    assert_eq!(fake.journal(), ["write 1 > /sys/block/sda/device/rescan"], "its live identity is read, no more");
}

/// PX-10: the caller's executor gets every command and write, here too.
#[test]
fn px_10_a_callers_executor_gets_every_command_and_write() {
    let fake = FakeHost::of_caller();
    let host = fake.fc_host(HOST_A);
    fake.fc_port(host, W);
    fake.fc_map(&[W], 5, &Volume::number(1));
    let properties = volume(&[W], 5);
    let attachment = attach(&fake, &properties, &single());
    assert_eq!(fake.journal(), [format!("write 0 0 5 > /sys/class/scsi_host/host{host}/scan")]);
    fake.forget_journal();
    crate::fc_check::disconnect(&fake, &properties, &single(), Some(&attachment.path), false).expect("nobody uses it");
    let mut lines = fake.journal();
    lines.retain(|line| !line.starts_with("multipathd show"));
    assert!(lines.contains(&"write 1 > /sys/block/sda/device/delete".to_owned()), "{lines:?}");
    fake.assert_clean();
}

/// Three volumes at once on the same ports, each with its own map.
#[test]
fn volumes_are_attached_side_by_side() {
    let (fake, ..) = two_fabrics();
    for lun in [6, 7] {
        fake.fc_map(&[W, X, Y, Z], lun, &Volume::number(u8::try_from(lun).expect("a small number")));
    }
    std::thread::scope(|scope| {
        for lun in [5, 6, 7] {
            let fake = &fake;
            scope.spawn(move || connect(fake, &volume(&[W, X, Y, Z], lun), &multipath()).expect("a volume of its own"));
        }
    });
    fake.settle();
    assert_eq!(fake.disks().len(), 12);
    assert_eq!(fake.machine.state().maps.len(), 3);
    for lun in [5, 6, 7] {
        detach(&fake, &volume(&[W, X, Y, Z], lun), &multipath());
    }
    fake.assert_clean();
}
