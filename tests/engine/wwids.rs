//! The file in which multipath remembers identities.

use std::fs::OpenOptions;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::check::{IQN, all_paths, attach, detach, multipath, single};
use crate::connect_single::host_with_portals;
use crate::support::{FakeHost, Trouble, Volume};

const WWIDS: &str = "/etc/multipath/wwids";

/// ID-08: what others wrote stays, to the letter, also an identity that begins or ends as ours does.
#[test]
fn id_08_one_line_becomes_a_comment() {
    let (fake, portals) = host_with_portals::<2>();
    let id = Volume::number(1).id();
    let others = |ours: &str| format!("# Valid WWIDs:\n/{id}0/\n/1{id}/\n{ours}/3600a/\n");
    fake.tree().write(WWIDS, others(""));
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.tree().read(WWIDS), Some(format!("{}#{id}/", others(""))));
    fake.tree().write(WWIDS, others(&format!("/{id}/\n")));
    attach(&fake, &properties, &multipath());
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.tree().read(WWIDS), Some(others(&format!("#{id}/\n")).trim().to_owned()));
}

/// ID-08: a volume without a map, on a host that has known thousands.
#[test]
fn id_08_the_line_is_found_in_a_long_file() {
    let (fake, portals) = host_with_portals::<1>();
    fake.behave(|manners| manners.forms_maps = false);
    let others: String = (0..3000).map(|number| format!("/36001406{number:025}/\n")).collect();
    let id = Volume::number(1).id();
    fake.tree().write(WWIDS, format!("{others}/{id}/\n"));
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &single());
    detach(&fake, &properties, &single());
    assert!(fake.tree().read(WWIDS) == Some(format!("{others}#{id}/")), "its line is still there");
}

/// Its place can be configured; then multipath knows it, and is told where one path makes no map.
#[test]
fn a_file_that_is_elsewhere_is_left_to_multipath() {
    for (mode, told) in [("greedy", 0), ("yes", 1), ("strict", 1)] {
        let (fake, portals) = host_with_portals::<2>();
        fake.behave(|manners| manners.find_multipaths = mode);
        let properties = all_paths(&portals, IQN, 1);
        fake.tree().remove(WWIDS);
        attach(&fake, &properties, &multipath());
        assert_eq!(fake.done("multipath -a").len(), told, "{mode}");
        fake.tree().remove(WWIDS);
        detach(&fake, &properties, &multipath());
        assert_eq!(fake.done("multipath -w"), [format!("multipath -w {}", Volume::number(1).id())], "{mode}");
    }
}

/// So that udev takes the first disk for a path at its first look: the identity is there before the map, and before multipathd
/// could write it.  The file does not grow with every attach, as it does by multipath.
#[test]
fn id_08_the_identity_is_written_down_before_the_map() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = all_paths(&portals, IQN, 1);
    fake.tree().write(WWIDS, "# Valid WWIDs:\n/3600a/");
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| attach(&fake, &properties, &multipath()));
        fake.wait_for("the line", |state| state.maps.is_empty() && is_remembered(&fake));
        assert!(!ended.is_finished());
        fake.behave(|manners| manners.forms_maps = true);
        ended.join().expect("no panic");
    });
    let id = Volume::number(1).id();
    for _ in 0..3 {
        assert_eq!(fake.tree().read(WWIDS), Some(format!("# Valid WWIDs:\n/3600a/\n/{id}/")));
        detach(&fake, &properties, &multipath());
        assert_eq!(fake.tree().read(WWIDS), Some(format!("# Valid WWIDs:\n/3600a/\n#{id}/")));
        attach(&fake, &properties, &multipath());
    }
}

/// A disk udev was done with before is looked at again; one it takes for a path, and one it is not done with, are not.
#[test]
fn udev_looks_again_at_a_disk_it_has_passed_over() {
    let property = "E:DM_MULTIPATH_DEVICE_PATH=1";
    for (told, again) in [(Some("E:ID_FS_TYPE=ext4"), true), (Some(property), false), (None, false)] {
        let (fake, portals) = host_with_portals::<1>();
        let partitioned = Trouble::Then(|machine, _| {
            for (attribute, text) in [("partition", "1"), ("uevent", "")] {
                machine.tree.write(&format!("/sys/block/sda/sda1/{attribute}"), text);
            }
        });
        fake.behave(|manners| manners.disk_delay = Duration::ZERO);
        fake.trouble("scan", partitioned);
        // The number of sda.
        if let Some(told) = told {
            fake.tree().write("/run/udev/data/b8:0", format!("S:disk/by-id/x\n{told}\nG:systemd\n"));
        }
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        let events = ["write change > /sys/block/sda/uevent", "write change > /sys/block/sda/sda1/uevent"];
        let expected: &[&str] = if again { &events } else { &[] };
        assert_eq!(fake.done("uevent"), expected, "{told:?}");
        detach(&fake, &properties, &multipath());
        fake.assert_clean();
    }
}

/// multipath and multipathd lock the whole file while they change it.
#[test]
fn a_file_that_is_being_changed_is_waited_for() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    let file = OpenOptions::new().read(true).write(true).open(fake.tree().place(WWIDS)).expect("it is there");
    lock(&file, libc::F_WRLCK);
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| detach(&fake, &properties, &multipath()));
        fake.wait_for("the disks going", |state| state.disks.is_empty() && state.watched.is_empty());
        assert!(is_remembered(&fake) && !ended.is_finished());
        lock(&file, libc::F_UNLCK);
        ended.join().expect("no panic");
    });
    assert!(!is_remembered(&fake));
    fake.assert_clean();
}

fn is_remembered(fake: &FakeHost) -> bool {
    fake.tree().read(WWIDS).is_some_and(|text| text.lines().any(|line| line == format!("/{}/", Volume::number(1).id())))
}

fn lock(file: &std::fs::File, kind: libc::c_int) {
    let whole = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole)).expect("nobody else holds it");
}
