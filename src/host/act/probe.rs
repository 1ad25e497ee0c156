//! Whether anybody listens on a portal, asked without iscsid.
//!
//! A login given to iscsid cannot be taken back (iscsid 2.1.8 goes on trying after the record is gone), so a portal
//! that does not answer TCP is never given to it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, getsockopt, socket, sockopt,
};

use crate::identifiers::Portal;

/// A connection that is being made.  Dropped, it is given up or hung up.
pub struct Knock {
    socket: OwnedFd,
}

impl Knock {
    /// Begins to connect (connect(2), `EINPROGRESS`).
    pub fn begin(portal: &Portal) -> io::Result<Knock> {
        let address = address_of(portal)?;
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
        let begun = match address {
            SocketAddr::V4(address) => connect(socket.as_raw_fd(), &SockaddrIn::from(address)),
            SocketAddr::V6(address) => connect(socket.as_raw_fd(), &SockaddrIn6::from(address)),
        };
        match begun {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(Knock { socket }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The answer if it comes in time: somebody listens, or the error says why nobody does.
    pub fn answer(&self, patience: Duration) -> io::Result<Option<()>> {
        let deadline = Instant::now() + patience;
        loop {
            let mut wanted = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
            let left = deadline.saturating_duration_since(Instant::now());
            match poll(&mut wanted, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                // A signal for the caller.
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        match getsockopt(&self.socket, sockopt::SocketError)? {
            0 => Ok(Some(())),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

fn address_of(portal: &Portal) -> io::Result<SocketAddr> {
    if let Some(ip) = portal.ip() {
        return Ok(SocketAddr::new(ip, portal.port()));
    }
    let mut known = (portal.address().as_str(), portal.port()).to_socket_addrs()?;
    known.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}
