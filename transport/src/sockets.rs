//! The socket that a server listens on: bound here, or handed over by the service manager.

use std::{
    io,
    net::UdpSocket,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{SocketType, sockopt::socket_type};

/// Opens the listening socket. `stdin` takes the UDP socket on file descriptor 0, as systemd (`StandardInput=socket`)
/// and inetd hand it over, so that the port outlives a restart; anything else is an address to bind, like `[::]:4433`.
///
/// # Errors
/// The address cannot be bound, or file descriptor 0 is not a UDP socket.
pub fn listen_socket(spec: &str) -> io::Result<UdpSocket> {
    let socket = match spec {
        "stdin" => inherited(io::stdin().as_fd().try_clone_to_owned()?)?,
        address => UdpSocket::bind(address)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn inherited(descriptor: OwnedFd) -> io::Result<UdpSocket> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "standard input is not a UDP socket");
    match socket_type(&descriptor) {
        Ok(SocketType::DGRAM) => {}
        _ => return Err(refused()),
    }
    let socket = UdpSocket::from(descriptor);
    // A Unix datagram socket has no internet address.
    socket.local_addr().map_err(|_| refused())?;
    Ok(socket)
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
        assert!(inherited(TcpListener::bind("127.0.0.1:0").unwrap().into()).is_err());
        assert!(inherited(UnixDatagram::unbound().unwrap().into()).is_err());
        assert!(inherited(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = listen_socket("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap().to_string();
        assert!(listen_socket(&address).unwrap_err().to_string().contains(&address));
    }
}
