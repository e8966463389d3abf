//! What a hub is started with.

use std::{fmt, io, net::UdpSocket, path::PathBuf};

use wugan_protocol::party::Party;

use crate::tls::TlsIdentity;

/// Everything a hub needs to know.
#[derive(Debug)]
pub struct HubConfig {
    /// The local party's certificate and key.
    pub identity: TlsIdentity,
    /// Who this process is.
    pub local: Party,
    /// Every party that may be dialled or accepted; the local one may be among them.
    pub peers: Vec<Peer>,
    /// Where to listen; without it nobody is accepted.
    pub listen: Option<UdpSocket>,
    /// The peers admitted when they dial.
    pub accept: Vec<Party>,
    /// The peers to dial, each at `host:port`.
    pub dial: Vec<(Party, String)>,
    /// A folder for files under way, used by this hub alone: whatever lies there half-written is deleted at start.
    /// Final names must be on the same file system.
    pub spool: PathBuf,
    /// Flow control and socket buffers.
    pub windows: Windows,
}

/// A party that the signed federation manifest lists.
#[derive(Clone)]
pub struct Peer {
    /// Who it is.
    pub party: Party,
    /// Its Ed25519 identity key.
    pub key: [u8; 32],
    /// `member/role`, for the log.
    pub name: String,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.name)
    }
}

/// Bytes that may be under way, and so the memory that a peer can claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Unread bytes of one stream.
    pub stream: u32,
    /// Unread bytes of one connection, larger than `stream` so that a stream that waits does not stop the others.
    pub connection: u32,
    /// Kernel buffer of the socket, each direction. The kernel may grant less (`net.core.rmem_max`).
    pub socket_buffer: usize,
}

impl Windows {
    /// For the matcher, which takes tens of gigabytes from dozens of senders at once.
    pub const BULK: Windows = Windows { stream: 8 << 20, connection: 32 << 20, socket_buffer: 8 << 20 };

    /// For everybody else.
    pub const USUAL: Windows = Windows { stream: 2 << 20, connection: 4 << 20, socket_buffer: 2 << 20 };
}

/// Why a hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Started outside a tokio runtime.
    #[error("no tokio runtime is running")]
    NoRuntime,
    /// The certificate and the private key do not fit, or are not Ed25519.
    #[error("the TLS identity is unusable: {0}")]
    Identity(rustls::Error),
    /// The manifest lists another key for the local party: nobody would admit it.
    #[error("the local identity is not the one that the peers expect")]
    OtherKey,
    /// A party to dial or to accept is not among the peers.
    #[error("member {} ({}) is to be connected but is not among the peers", .0.member, .0.role.name())]
    UnknownPeer(Party),
    /// The same party or the same key stands twice among the peers.
    #[error("{0} is listed twice, or has the key of another peer")]
    DuplicatePeer(String),
    /// A socket could not be opened or set up.
    #[error("socket: {0}")]
    Socket(io::Error),
    /// The spool folder is unusable.
    #[error("spool folder {}: {error}", folder.display())]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// What failed.
        error: io::Error,
    },
}
