//! A port that nobody else gets while we hold it, also while the server is down.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A port of 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// Bound and never listened on: Linux gives the port to no other program meanwhile, while Postgres, which also asks for the reuse
    /// of addresses, can listen on it.
    #[cfg(target_os = "linux")]
    _held: std::os::fd::OwnedFd,
}

impl Port {
    /// One that the system chooses.
    pub(crate) fn free() -> io::Result<Self> {
        Self::hold(0)
    }

    /// This one, if nobody has it.
    #[cfg(target_os = "linux")]
    pub(crate) fn hold(number: u16) -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
        let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, number))?;
        // Only now: bound with this option, two of these could be given the same port.
        sockopt::set_socket_reuseaddr(&held, true)?;
        let number = SocketAddrV4::try_from(getsockname(&held)?)?.port();
        Ok(Self { number, _held: held })
    }

    /// This one, if nobody has it at the moment.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn hold(number: u16) -> io::Result<Self> {
        let number = std::net::TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, number))?.local_addr()?.port();
        Ok(Self { number })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_held_port_is_given_to_nobody_but_one_who_asks_for_it() {
        let port = Port::free().unwrap();
        let taken = Port::hold(port.number).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // As Postgres does: std listens with the reuse of addresses.
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).unwrap();
        assert_eq!(server.local_addr().unwrap().port(), port.number);
        assert_eq!(TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
