//! Who waits for whom: a stock os-brick, operations on one volume, users of one session.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use os_brick_engine::error::Error;
use os_brick_engine::host::act::lock::{self, Mode, Place};
use serde_json::json;

use crate::check::{IQN, all_paths, attach, connect, detach, disconnect, extend, merged, multipath, one_path, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Trouble, Volume, log_book};

/// Where the other process finds its lock file, and what it is to do.
const LOCK_FILE: &str = "OS_BRICK_TEST_LOCK_FILE";
const TASK: &str = "OS_BRICK_TEST_TASK";

/// A stock os-brick: oslo.concurrency's lock is fasteners', a POSIX lock of the whole file.
fn posix_lock(file: &File) -> bool {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_SETLK(&whole)).is_ok()
}

/// Not a test: what the other process runs.
#[test]
fn another_process() {
    let (Ok(path), Ok(task)) = (std::env::var(LOCK_FILE), std::env::var(TASK)) else {
        return;
    };
    let path = PathBuf::from(path);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.expect("the lock file can be opened");
    match task.as_str() {
        "hold" => {
            assert!(posix_lock(&file), "nobody else has it");
            File::create(path.with_extension("held")).expect("its directory can be written to");
            let _ = std::io::stdin().read(&mut [0]);
        }
        "find it taken" => assert!(!posix_lock(&file), "the lock is free"),
        other => panic!("{other}?"),
    }
}

pub fn start(task: &str, lock_file: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "locks::another_process"])
        .env(LOCK_FILE, lock_file)
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be started again")
}

pub fn upstream_lock(fake: &FakeHost) -> PathBuf {
    fake.tree().place("/locks/os-brick-connect_volume")
}

/// LK-02: one directory, one file, both kinds of lock.
#[test]
fn lk_01_an_attach_waits_for_a_stock_os_brick() {
    log_book::open();
    let (fake, portal) = host_with_volume();
    let file = upstream_lock(&fake);
    let mut stock = start("hold", &file);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !file.with_extension("held").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &one_path(&portal, IQN, 1), &single()));
        log_book::wait_for(&format!("waiting for another os-brick on this host ({})", file.display()));
        assert_eq!(fake.journal(), Vec::<String>::new());
        drop(stock.stdin.take());
        attach.join().expect("no panic").expect("the lock is free now");
    });
    assert!(stock.wait().expect("it has ended").success());
}

#[test]
fn lk_01_a_stock_os_brick_waits_for_an_attach() {
    let (fake, portal) = host_with_volume();
    fake.trouble("--login", Trouble::Until(|state| state.let_go));
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &one_path(&portal, IQN, 1), &single()));
        fake.wait_for("the login", |state| state.journal.iter().any(|line| line.contains("--login")));
        let found = start("find it taken", &upstream_lock(&fake)).wait_with_output().expect("it ends");
        fake.let_go();
        assert!(found.status.success(), "a stock os-brick would go on");
        attach.join().expect("no panic").expect("the attach goes on");
    });
}

#[test]
fn lk_06_volumes_are_attached_at_once() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    for (number, portal) in (1..).zip(&portals) {
        let iqn = format!("iqn.{number}");
        fake.target(&iqn, &[portal]);
        fake.map_lun(&iqn, 1, Volume::number(number));
    }
    // Neither ends before both have begun.
    fake.trouble("--login", Trouble::Until(|state| state.count("--login") == 2));
    std::thread::scope(|scope| {
        for (number, portal) in (1..).zip(&portals) {
            let fake = &fake;
            scope.spawn(move || attach(fake, &one_path(portal, &format!("iqn.{number}"), 1), &single()));
        }
    });
    assert_eq!(fake.logins().len(), 2);
}

/// IC-31, LK-06: attaches that need the same session log in once.
#[test]
fn lk_06_a_session_is_made_once() {
    let (fake, portal) = host_with_volume();
    let luns: Vec<u64> = (1..=6).collect();
    luns.iter().for_each(|lun| fake.map_lun(IQN, *lun, Volume::number(u8::try_from(*lun).expect("small"))));
    std::thread::scope(|scope| {
        for lun in &luns {
            scope.spawn(|| {
                let attachment = connect(&fake, &one_path(&portal, IQN, *lun), &single()).expect("the portal answers");
                assert_eq!(attachment.scsi_wwn, Volume::number(u8::try_from(*lun).expect("small")).id());
            });
        }
    });
    assert_eq!(fake.done("--login").len(), 1);
    assert_eq!(fake.done("scan").len(), 6);
}

/// Who wants a session that is not there yet does not wait until those who have it by now are done with it.
#[test]
fn lk_06_a_session_somebody_else_made_is_shared_at_once() {
    log_book::open();
    let (fake, portal) = host_with_volume();
    let sessions = fake.tree().place("/locks/os-brick-sessions");
    std::fs::create_dir_all(sessions.parent().expect("a directory")).expect("it can be made");
    let place = Place::named(sessions, &format!("session {} {IQN}", portal.replace(':', ",")));
    let other = lock::acquire(&place, Mode::Shared, soon()).expect("nobody has it");
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &one_path(&portal, IQN, 1), &single()));
        log_book::wait_for(&format!("{portal} {IQN} LUN 1: waiting for another attach or detach"));
        fake.log_in(&portal, IQN);
        assert_eq!(attach.join().expect("no panic").expect("the session is there").path, "/dev/sda");
    });
    drop(other);
    assert_eq!(fake.done("--login"), Vec::<String>::new());
}

#[test]
fn an_attach_waits_for_another_of_the_same_volume() {
    let (fake, portal) = host_with_volume();
    fake.trouble("--login", Trouble::Slow(Duration::from_millis(300)));
    let properties = one_path(&portal, IQN, 1);
    let paths = std::thread::scope(|scope| {
        let attach = || connect(&fake, &properties, &single()).expect("the portal answers").path;
        let (first, second) = (scope.spawn(attach), scope.spawn(attach));
        [first.join().expect("no panic"), second.join().expect("no panic")]
    });
    assert_eq!(paths, ["/dev/sda", "/dev/sda"]);
    assert_eq!(fake.done("/scan").len(), 1);
}

/// The session is counted as used while its disk is awaited: a detach of the last disk does not end it.
#[test]
fn lk_01_a_session_an_attach_uses_is_not_ended() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    fake.map_lun(IQN, 2, Volume::number(2));
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    fake.trouble("write 0 0 2", Trouble::Until(|state| state.let_go));
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &one_path(&portal, IQN, 2), &single()));
        fake.wait_for("the scan", |state| state.journal.iter().any(|line| line.contains("write 0 0 2")));
        disconnect(&fake, &one_path(&portal, IQN, 1), &single()).expect("only its own disk goes");
        fake.let_go();
        let attachment = attach.join().expect("no panic").expect("its session is still there");
        assert_eq!(attachment.scsi_wwn, Volume::number(2).id());
    });
    assert_eq!(fake.done("--logout"), Vec::<String>::new());
    detach(&fake, &one_path(&portal, IQN, 2), &single());
    fake.assert_clean();
}

/// An extend in the middle of a detach would rescan what is going.
#[test]
fn x_17_an_extend_waits_for_a_detach() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.trouble("--logout", Trouble::Slow(Duration::from_millis(500)));
    std::thread::scope(|scope| {
        let going = scope.spawn(|| disconnect(&fake, &properties, &multipath()));
        fake.wait_for("the logout", |state| state.journal.iter().any(|line| line.contains("--logout")));
        let error = extend(&fake, &properties, &multipath()).expect_err("the volume has gone");
        assert!(matches!(error, Error::PathsNotFound { .. }), "{error:?}");
        going.join().expect("no panic").expect("nothing uses the volume");
    });
    assert_eq!(fake.done("rescan"), Vec::<String>::new());
}

/// An attach and a detach of one volume at the same time end in one of the two states.
#[test]
fn an_attach_and_a_detach_of_one_volume_exclude_each_other() {
    for _ in 0..5 {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| connect(&fake, &properties, &multipath()).expect("the portals answer"));
            scope.spawn(|| disconnect(&fake, &properties, &multipath()).expect("nothing uses the volume"));
        });
        fake.settle();
        assert!(matches!(fake.disks().len(), 0 | 2), "{}", fake.story());
        detach(&fake, &properties, &multipath());
        fake.assert_clean();
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

#[test]
fn shared_locks_are_shared_and_exclusive_ones_are_not() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let place = Place::whole(directory.path().join("lock"));
    let shared = lock::acquire(&place, Mode::Shared, soon()).expect("nobody has it");
    let also = lock::acquire(&place, Mode::Shared, soon()).expect("it is shared");
    assert!(lock::try_acquire(&place, Mode::Exclusive).expect("it can be asked for").is_none());
    drop((shared, also));
    let exclusive = lock::acquire(&place, Mode::Exclusive, soon()).expect("nobody has it");
    let error = lock::acquire(&place, Mode::Shared, soon()).expect_err("it is taken");
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    exclusive.share().expect("it can be shared");
    assert!(lock::try_acquire(&place, Mode::Shared).expect("it can be asked for").is_some());
}

#[test]
fn each_name_in_a_file_is_a_lock_of_its_own() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let place = |name: &str| Place::named(directory.path().join("locks"), name);
    let one = lock::try_acquire(&place("volume a"), Mode::Exclusive).expect("it can be asked for");
    assert!(one.is_some());
    assert!(lock::try_acquire(&place("volume b"), Mode::Exclusive).expect("it can be asked for").is_some());
    assert!(lock::try_acquire(&place("volume a"), Mode::Exclusive).expect("it can be asked for").is_none());
}

/// Several services with different users share the directory; none can point the file elsewhere.
#[test]
fn a_lock_file_is_for_everybody_and_no_link() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("lock");
    drop(lock::acquire(&Place::whole(file.clone()), Mode::Shared, soon()).expect("nobody has it"));
    assert_eq!(std::fs::metadata(&file).expect("it was made").permissions().mode() & 0o777, 0o666);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link can be made");
    lock::acquire(&Place::whole(link), Mode::Shared, soon()).expect_err("it is a link");
    lock::acquire(&Place::whole(directory.path().to_path_buf()), Mode::Shared, soon()).expect_err("it is a directory");
}

/// The locks are handed on before an attach has written down what it made: by then a detach may have begun.
#[test]
fn an_attach_does_not_write_over_the_record_of_a_later_detach() {
    const DIRECTORY: &str = "/var/lib/os-brick";
    let (fake, portal) = host_with_volume();
    fake.tree().directory(DIRECTORY);
    let later = Trouble::Then(|machine, _| {
        for name in machine.tree.names(DIRECTORY) {
            let file = format!("{DIRECTORY}/{name}");
            let text = machine.tree.read(&file).expect("it is there").replace("\"attaching\"", "\"detaching\"");
            let operation = text.lines().find(|line| line.contains("\"operation\"")).expect("it has one").to_owned();
            machine.tree.write(&file, text.replace(&operation, "\"operation\": \"a later one\","));
        }
    });
    fake.trouble("/scan", later);
    let settings = merged(&single(), &json!({"attachment_record_path": DIRECTORY}));
    attach(&fake, &one_path(&portal, IQN, 1), &settings);
    let [name] = fake.tree().names(DIRECTORY).try_into().expect("one record");
    let record = fake.tree().read(&format!("{DIRECTORY}/{name}")).expect("it is there");
    assert!(record.contains("\"detaching\"") && record.contains("a later one"), "{record}");
}
