//! Endpoints: sockets, windows, timeouts, stream limits.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{
    ClientConfig, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustix::net::sockopt;
use tracing::{info, warn};

use crate::{config::Windows, files::FILES_AT_ONCE_MAX, tls::Credentials};

/// An endpoint that accepts holders of `clients` on `socket`.
pub(crate) fn listening(
    credentials: &Credentials,
    clients: HashSet<[u8; 32]>,
    socket: UdpSocket,
    windows: Windows,
) -> io::Result<Endpoint> {
    let tls = credentials.server(clients).map_err(io::Error::other)?;
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    // One control stream besides the files.
    server.transport_config(transport(windows, FILES_AT_ONCE_MAX + 1));
    endpoint(credentials, Some(server), socket, windows)
}

/// An endpoint that only dials, on a port of the system's choice.
pub(crate) fn dialling(credentials: &Credentials, windows: Windows) -> io::Result<Endpoint> {
    // The first reaches both families, but some systems have no IPv6.
    let socket =
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    endpoint(credentials, None, socket, windows)
}

/// How to dial the holder of one of the keys `server`.
pub(crate) fn client(
    credentials: &Credentials,
    server: HashSet<[u8; 32]>,
    windows: Windows,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::new(Arc::new(credentials.client(server)?));
    config.transport_config(transport(windows, FILES_AT_ONCE_MAX));
    Ok(config)
}

fn endpoint(
    credentials: &Credentials,
    server: Option<ServerConfig>,
    socket: UdpSocket,
    windows: Windows,
) -> io::Result<Endpoint> {
    socket.set_nonblocking(true)?;
    enlarge_buffers(&socket, windows.socket_buffer)?;
    let mut config = EndpointConfig::new(Arc::new(credentials.reset_key()));
    // quinn's default tags its identifiers under a random key, and so would not reset what came before a restart.
    config.cid_generator(|| Box::new(RandomIds(SystemRandom::new())));
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime))
}

fn transport(windows: Windows, streams: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(windows.stream))
        .receive_window(VarInt::from_u32(windows.connection))
        .send_window(u64::from(windows.connection))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_MS_MAX).into()));
    Arc::new(config)
}

/// The kernel grants less than asked for without saying so.
fn enlarge_buffers(socket: &UdpSocket, wanted: usize) -> io::Result<()> {
    sockopt::set_socket_recv_buffer_size(socket, wanted)?;
    sockopt::set_socket_send_buffer_size(socket, wanted)?;
    // Linux reports twice the usable size (socket(7)).
    let receive = sockopt::socket_recv_buffer_size(socket)? / 2;
    let send = sockopt::socket_send_buffer_size(socket)? / 2;
    let address = socket.local_addr()?;
    if receive < wanted || send < wanted {
        warn!(
            %address, wanted, receive, send,
            "socket buffers are smaller than wanted; raise net.core.rmem_max and net.core.wmem_max for faster files"
        );
    } else {
        info!(%address, receive, send, "socket buffers");
    }
    Ok(())
}

/// Unpredictable connection identifiers (RFC 9000 section 5.1).
struct RandomIds(SystemRandom);

impl ConnectionIdGenerator for RandomIds {
    #[expect(clippy::expect_used, reason = "the kernel's generator has no way to go on without")]
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_BYTES];
        self.0.fill(&mut id).expect("the system generates randomness");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

const CONNECTION_ID_BYTES: usize = 8;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const IDLE_MS_MAX: u32 = 60_000;
