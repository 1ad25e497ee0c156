//! Whether anybody listens on a portal, asked without iscsid.
//!
//! A login given to iscsid cannot be taken back (iscsid 2.1.8 goes on trying after the record is gone), so a portal
//! that does not answer TCP is never given to it.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::identifiers::Portal;

/// Connects and hangs up at once.  The error says refused, timed out or unreachable.
pub fn portal(portal: &Portal, timeout: Duration) -> io::Result<()> {
    let address = match portal.ip() {
        Some(ip) => SocketAddr::new(ip, portal.port()),
        None => (portal.address().as_str(), portal.port())
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?,
    };
    TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))).map(drop)
}
