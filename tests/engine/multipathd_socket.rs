//! The conversation with multipathd's socket, and a daemon that does not take part in it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use os_brick_engine::host::act::multipathd_socket::ask_at;

use crate::check::timed;

const LIMIT: Duration = Duration::from_millis(300);
/// Much longer than the limit makes it on a machine that is very busy.
const FOR_EVER: Duration = Duration::from_secs(60);

fn daemon(name: &str) -> (OwnedFd, UnixAddr) {
    let name = format!("os-brick-test-{name}-{}", std::process::id());
    let address = UnixAddr::new_abstract(name.as_bytes()).expect("the name is short");
    let socket = new_socket(SockFlag::SOCK_CLOEXEC);
    socket::bind(socket.as_raw_fd(), &address).expect("nobody else has the name");
    socket::listen(&socket, Backlog::new(1).expect("one may wait")).expect("it is bound");
    (socket, address)
}

fn new_socket(flags: SockFlag) -> OwnedFd {
    socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("a socket can be made")
}

/// What libmpathcmd sends and gets.
#[test]
fn a_question_and_its_answer() {
    let (socket, address) = daemon("answers");
    let listener = UnixListener::from(socket);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("it is asked");
            let mut question = [0; size_of::<usize>() + 12];
            stream.read_exact(&mut question).expect("the question is whole");
            assert_eq!(question, [&12_usize.to_ne_bytes()[..], b"show status\0"].concat()[..]);
            let answer = [&6_usize.to_ne_bytes()[..], b"up: 4\0"].concat();
            stream.write_all(&answer).expect("the answer is awaited");
        });
        assert_eq!(ask_at(&address, "show status", FOR_EVER).expect("it answers"), "up: 4");
    });
}

#[track_caller]
fn check_given_up(address: &UnixAddr) {
    let (outcome, took) = timed(|| ask_at(address, "show status", LIMIT));
    assert_eq!(outcome.expect_err("nobody answers").kind(), ErrorKind::TimedOut);
    assert!(took.own < FOR_EVER, "{took:?}");
}

#[test]
fn px_03_a_daemon_that_does_not_answer_is_given_up() {
    let (_socket, address) = daemon("hangs");
    check_given_up(&address);
}

/// The kernel lets no more askers wait: not even the connection comes about.
#[test]
fn px_03_a_daemon_that_accepts_nobody_is_given_up() {
    let (_socket, address) = daemon("accepts-nobody");
    let mut waiting = Vec::new();
    loop {
        let asker = new_socket(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK);
        if socket::connect(asker.as_raw_fd(), &address).is_err() {
            break;
        }
        waiting.push(asker);
    }
    assert!(!waiting.is_empty());
    check_given_up(&address);
}

#[test]
fn where_nobody_listens_there_is_no_daemon() {
    let address = UnixAddr::new_abstract(b"os-brick-test-nobody").expect("the name is short");
    let error = ask_at(&address, "show status", FOR_EVER).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// A length no answer has is not allocated.
#[test]
fn an_impossible_length_is_an_error() {
    let (socket, address) = daemon("lies");
    let listener = UnixListener::from(socket);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("it is asked");
            stream.write_all(&usize::MAX.to_ne_bytes()).expect("the answer is awaited");
        });
        let error = ask_at(&address, "show paths", FOR_EVER).expect_err("no answer is that long");
        assert!(error.to_string().contains("impossible length"), "{error}");
    });
}
