//! multipathd's socket, asked as `multipathd` itself asks (libmpathcmd): a native `size_t` with the length, then the text
//! and its NUL, both ways.
//!
//! A daemon that hangs accepts nobody, and after a few askers a connection waits as well: every step has its limit.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::TimeVal;

/// Where multipathd listens: the abstract name of libmpathcmd, and the paths newer versions add.
const ABSTRACT: &[u8] = b"/org/kernel/linux/storage/multipathd";
const PATHS: [&str; 2] = ["/run/multipathd.socket", "/run/multipathd/multipathd.socket"];

/// libmpathcmd's own bound.
const LONGEST: usize = 32 * 1024 * 1024;

/// One question.  `TimedOut` says that somebody is there and does not answer.
pub fn ask(request: &str, timeout: Duration) -> io::Result<String> {
    let mut missing = None;
    let addresses =
        [UnixAddr::new_abstract(ABSTRACT)].into_iter().chain(PATHS.map(|path| UnixAddr::new(Path::new(path))));
    for address in addresses {
        match ask_at(&address?, request, timeout) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                missing.get_or_insert(error);
            }
            outcome => return outcome,
        }
    }
    Err(missing.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

/// The same at one place.
pub fn ask_at(address: &UnixAddr, request: &str, timeout: Duration) -> io::Result<String> {
    let outcome = connect(address, timeout).and_then(|stream| converse(stream, request));
    // What the kernel says for a socket's own limit.
    outcome.map_err(|error| if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error })
}

fn connect(address: &UnixAddr, timeout: Duration) -> io::Result<UnixStream> {
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let limit = TimeVal::new(timeout.as_secs().cast_signed(), timeout.subsec_micros().into());
    // The limit of sending is that of connecting, too (unix(7)); the standard library cannot set it before.
    socket::setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    socket::setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
    socket::connect(socket.as_raw_fd(), address)?;
    Ok(UnixStream::from(socket))
}

fn converse(mut stream: UnixStream, request: &str) -> io::Result<String> {
    stream.write_all(&(request.len() + 1).to_ne_bytes())?;
    stream.write_all(request.as_bytes())?;
    stream.write_all(&[0])?;
    let mut length = [0; size_of::<usize>()];
    stream.read_exact(&mut length)?;
    let length = usize::from_ne_bytes(length);
    if length >= LONGEST {
        return Err(io::Error::other("multipathd announced an impossible length"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).trim_end_matches('\0').to_owned())
}
