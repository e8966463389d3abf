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
    /// The peers to dial, each at its addresses `host:port`, which are tried in turn.
    pub dial: Vec<(Party, Vec<String>)>,
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
    /// Its Ed25519 identity keys: the present one, and those that confirmed versions of the manifest to come list.
    pub keys: Vec<[u8; 32]>,
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

wugan_protocol::texts! {
    /// Why a hub could not start.
    #[derive(Debug, thiserror::Error)]
    pub enum StartError {
        /// Started outside a tokio runtime.
        NoRuntime "no tokio runtime is running" "没有运行中的 tokio 运行时";
        /// The certificate and the private key do not fit, or are not Ed25519.
        Identity(error: rustls::Error) "the TLS identity is unusable: {error}" "TLS 身份不可用：{error}";
        /// The manifest lists another key for the local party: nobody would admit it.
        OtherKey
            "the local identity is not the one that the peers expect"
            "本机身份与其他成员所知的不一致";
        /// A party to dial or to accept is not among the peers.
        UnknownPeer(party: Party)
            "{party} is to be connected but is not among the peers"
            "要连接的 {party} 不在成员之列";
        /// The same party or the same key stands twice among the peers.
        DuplicatePeer(name: String)
            "{name} is listed twice, or has the key of another peer"
            "{name} 重复列出，或与其他成员的密钥相同";
        /// A socket could not be opened or set up.
        Socket(error: io::Error) "socket: {error}" "套接字：{error}";
        /// The spool folder is unusable.
        Spool { folder: PathBuf, error: io::Error } "spool folder {folder}: {error}" "暂存文件夹 {folder}：{error}";
    }
}
