//! The socket that a server listens on: bound here, or handed over by the service manager.

use std::{
    io,
    net::UdpSocket,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{SocketType, sockopt::socket_type};

use crate::shell::ServiceError;

/// Opens the listening socket. `stdin` takes the UDP socket on file descriptor 0, as systemd (`StandardInput=socket`)
/// and inetd hand it over, so that the port outlives a restart; anything else is an address to bind, like `[::]:4433`.
///
/// # Errors
/// The address cannot be bound, or file descriptor 0 is not a UDP socket.
pub fn listen_socket(spec: &str) -> Result<UdpSocket, ServiceError> {
    let failed = |error| ServiceError::Listen { address: spec.to_owned(), error };
    let socket = match spec {
        "stdin" => {
            let descriptor = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
            inherited(descriptor).ok_or(ServiceError::NoSocket)?
        }
        address => UdpSocket::bind(address).map_err(failed)?,
    };
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

fn inherited(descriptor: OwnedFd) -> Option<UdpSocket> {
    if socket_type(&descriptor) != Ok(SocketType::DGRAM) {
        return None;
    }
    let socket = UdpSocket::from(descriptor);
    // A Unix datagram socket has no internet address.
    socket.local_addr().is_ok().then_some(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{net::TcpListener, os::unix::net::UnixDatagram};

    use super::*;

    #[test]
    fn only_a_udp_socket_is_inherited() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        assert_eq!(inherited(udp.into()).unwrap().local_addr().unwrap(), address);
        assert!(inherited(TcpListener::bind("127.0.0.1:0").unwrap().into()).is_none());
        assert!(inherited(UnixDatagram::unbound().unwrap().into()).is_none());
        assert!(inherited(std::fs::File::open("/dev/null").unwrap().into()).is_none());
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = listen_socket("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap().to_string();
        assert!(listen_socket(&address).unwrap_err().to_string().contains(&address));
    }
}
