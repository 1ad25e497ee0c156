//! The file in which multipath remembers identities.

use std::fs::OpenOptions;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::check::{IQN, all_paths, attach, detach, multipath, single};
use crate::connect_single::host_with_portals;
use crate::support::{FakeHost, Volume};

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

/// Its place can be configured; then multipath knows it.
#[test]
fn a_file_that_is_elsewhere_is_left_to_multipath() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.tree().remove(WWIDS);
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.done("multipath -w"), [format!("multipath -w {}", Volume::number(1).id())]);
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
