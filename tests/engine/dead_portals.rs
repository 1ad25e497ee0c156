//! Portals that do not answer: nobody waits for them long, they join when they can, and never after the detach.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};
use os_brick_engine::error::Error;
use serde_json::{Value, json};

use crate::check::{IQN, all_paths, attach, connect, detach, multipath, one_path, settings, timed};
use crate::connect_single::host_with_portals;
use crate::support::{FakeHost, Trouble, Volume, log_book};

/// A portal that takes no connection and refuses none: its queue is full.
struct BlackHole {
    name: String,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> BlackHole {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback address can be bound");
        listen(&listener, Backlog::new(1).expect("a small number")).expect("a listener can listen");
        let address = listener.local_addr().expect("a bound socket has an address");
        let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok();
        let queue: Vec<TcpStream> = std::iter::from_fn(knock).take(16).collect();
        assert!(queue.len() < 16, "the queue takes everything");
        BlackHole { name: address.to_string(), _listener: listener, _queue: queue }
    }
}

fn with_grace(seconds: f64) -> Value {
    settings(&json!({"use_multipath": true, "portal_grace_period": seconds}))
}

/// IC-23: a portal that refuses costs nothing, and iscsid never hears of it.
#[test]
fn ic_23_one_of_four_portals_refuses() {
    let (fake, portals) = host_with_portals::<4>();
    fake.stop_portal(&portals[2]);
    let properties = all_paths(&portals, IQN, 1);
    let (attachment, took) = timed(|| attach(&fake, &properties, &with_grace(60.0)));
    assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
    assert!(took.own < Duration::from_secs(30), "the grace period is no time a refusal takes: {took:?}");
    assert_eq!(fake.slaves().len(), 3);
    assert_eq!(fake.done(&portals[2]), Vec::<String>::new());
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// IC-23: a portal that swallows everything costs the grace period.
#[test]
fn ic_23_one_of_four_portals_is_a_black_hole() {
    let (fake, [first, second, third]) = host_with_portals();
    let dead = BlackHole::new();
    let properties = all_paths(&[&first, &dead.name, &second, &third], IQN, 1);
    log_book::open();
    let (_, took) = timed(|| attach(&fake, &properties, &with_grace(0.5)));
    assert!(took.wall >= Duration::from_millis(500), "{took:?}");
    assert_eq!(fake.slaves().len(), 3);
    assert_eq!(fake.done(&dead.name), Vec::<String>::new());
    detach(&fake, &properties, &multipath());
    // An attach that had waited for its answer would have warned; who comes after it says so at a lower level.
    log_book::wait_for(&format!("INFO os_brick.engine.iscsi no path through {}", dead.name));
    let lines = log_book::lines_with(&dead.name);
    assert!(!lines.iter().any(|line| line.starts_with("WARN")), "{lines:#?}");
    fake.assert_clean();
}

/// IC-23: who takes the volume away again does not wait until the question to a silent portal ends.
#[test]
fn ic_23_a_detach_does_not_wait_for_a_silent_portal() {
    let (fake, [first, second]) = host_with_portals();
    let dead = BlackHole::new();
    let properties = all_paths(&[&first, &dead.name, &second], IQN, 1);
    attach(&fake, &properties, &with_grace(0.1));
    let (_, took) = timed(|| detach(&fake, &properties, &multipath()));
    assert!(
        took.own < Duration::from_secs(1),
        "a question takes 5 s, and 1.25 s until it is given up as silent: {took:?}"
    );
    fake.assert_clean();
}

/// IC-23: who begins while another still asks the portal does not wait for it as well.
#[test]
fn ic_23_a_silent_portal_is_known_before_it_is_given_up() {
    let (fake, [first, second]) = host_with_portals();
    fake.map_lun(IQN, 2, Volume::number(2));
    let dead = BlackHole::new();
    let portals = [&first, &dead.name, &second];
    attach(&fake, &all_paths(&portals, IQN, 1), &with_grace(1.5));
    let (_, took) = timed(|| attach(&fake, &all_paths(&portals, IQN, 2), &with_grace(60.0)));
    assert!(took.own < Duration::from_secs(3), "{took:?}");
    for lun in [1, 2] {
        detach(&fake, &all_paths(&portals, IQN, lun), &multipath());
    }
    fake.assert_clean();
}

/// LK-06: another volume is attached beside it in its own time.
#[test]
fn ic_23_a_neighbour_does_not_wait_for_a_hanging_portal() {
    let (fake, [first, second, hanging]) = host_with_portals();
    fake.map_lun(IQN, 2, Volume::number(2));
    fake.trouble(&format!("-p {hanging} --login"), Trouble::Until(|state| state.let_go));
    let (slow, quick) = (all_paths(&[&first, &hanging], IQN, 1), all_paths(&[&first, &second], IQN, 2));
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| connect(&fake, &slow, &with_grace(60.0)));
        fake.wait_for("the first volume's map", |state| !state.maps.is_empty());
        connect(&fake, &quick, &multipath()).expect("its portals answer");
        assert!(!beside.is_finished(), "the neighbour waited");
        fake.let_go();
        beside.join().expect("no panic").expect("one path is enough");
    });
}

/// A login that takes its time: the attach returns, the path joins when it can.
#[test]
fn a_slow_login_joins_the_map_later() {
    let (fake, [first, second]) = host_with_portals();
    fake.trouble(&format!("-p {second} --login"), Trouble::Until(|state| state.let_go));
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &with_grace(0.1));
    assert_eq!(fake.slaves().len(), 1, "the attach did not wait for the login");
    fake.let_go();
    fake.wait_for("the late path in the map", |state| state.maps.values().any(|map| map.slaves.len() == 2));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// A login under way cannot be taken back: the detach waits for it, and nothing appears after it.
#[test]
fn a_detach_ends_a_login_that_is_under_way() {
    let (fake, [first, second]) = host_with_portals();
    fake.trouble(&format!("-p {second} --login"), Trouble::Slow(Duration::from_millis(900)));
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &with_grace(0.1));
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.logins().len(), 2, "the login came to its end");
    fake.assert_clean();
}

/// The same for an attach of the same volume: it takes over, with all paths.
#[test]
fn an_attach_takes_over_from_late_paths() {
    let (fake, [first, second]) = host_with_portals();
    fake.trouble_times(1, &format!("-p {second} --login"), Trouble::Slow(Duration::from_millis(600)));
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &with_grace(0.1));
    attach(&fake, &properties, &with_grace(3.0));
    fake.wait_for("both paths in the map", |state| state.maps.values().any(|map| map.slaves.len() == 2));
    assert_eq!(fake.disks().len(), 2);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// ID-23 and the others look at portals without asking them; a dead one is no reason to fail.
#[test]
fn discovery_at_a_dead_portal_is_an_error_that_names_it() {
    let (fake, portals) = host_with_portals::<2>();
    fake.stop_portal(&portals[0]);
    let error = connect(&fake, &one_path(&portals[0], IQN, 1), &multipath()).expect_err("nobody answers");
    assert!(error.to_string().contains(&portals[0]), "{error}");
    assert_eq!(fake.done("iscsiadm"), Vec::<String>::new());
    fake.assert_clean();
}

/// The portal answers TCP, and iscsiadm fails for a reason of its own: the reason is told.
#[test]
fn ic_33_a_discovery_that_fails_says_why() {
    let (fake, portals) = host_with_portals::<2>();
    fake.trouble("-m discovery", Trouble::Exit(24, "iscsiadm: Login authentication failed with target"));
    let error = connect(&fake, &one_path(&portals[0], IQN, 1), &multipath()).expect_err("discovery failed");
    let Error::PortalNotFound { portal, reason } = &error else { panic!("{error:?}") };
    assert_eq!(*portal, portals[0]);
    assert!(reason.contains("Login authentication failed with target"), "{reason}");
    fake.assert_clean();
}

/// IC-02: all portals dead.
#[test]
fn ic_02_with_all_portals_dead_nothing_is_left() {
    let fake = FakeHost::new();
    let portals = [fake.dead_portal(), fake.dead_portal()];
    fake.target(IQN, &portals);
    let error = connect(&fake, &all_paths(&portals, IQN, 1), &multipath()).expect_err("nobody answers");
    assert!(portals.iter().all(|portal| error.to_string().contains(portal)), "{error}");
    assert_eq!(fake.done("iscsiadm"), Vec::<String>::new());
    fake.assert_clean();
}

/// A dead portal comes back while the volume is attached.
#[test]
fn a_portal_that_comes_back_joins_the_map() {
    let (fake, [first, second]) = host_with_portals();
    fake.stop_portal(&second);
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.slaves(), ["sda"]);
    fake.start_portal(&second);
    fake.wait_for("the path that came back", |state| state.maps.values().any(|map| map.slaves.len() == 2));
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}
