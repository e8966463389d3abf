//! QUIC between parties that know each other's keys: framed messages and spooled files.
//!
//! A [`Hub`] keeps one connection to each configured peer: it dials some of them for ever and accepts the others.
//! Both sides prove possession of the Ed25519 identity that the federation manifest lists; nothing else admits a peer.
//! The crate carries bytes: it refuses malformed frames and short or long files, and leaves every meaning to its caller.
//! It is the only crate that names quinn and rustls.
//!
//! On the wire (QUIC v1, TLS 1.3, ALPN `wugan/1`), all integers little-endian:
//! - The dialler's first bidirectional stream is the control stream. Each side begins it with the 8 bytes `wugan/1\n`.
//!   Then come frames: u32 length, and that many bytes of an encoded [`Message`](wugan_protocol::message::Message).
//! - Every other bidirectional stream is one file, from whoever opened it: u32 length and bytes of its announcement,
//!   u64 length and bytes of the file, end of stream. The answer is an encoded
//!   [`FileReply`](wugan_protocol::message::FileReply), or a reset with one of the codes of `ending`.
#![forbid(unsafe_code)]

mod accept;
pub mod admin;
pub mod check;
pub mod client;
pub mod home;
pub mod journal;
pub mod rounds;
pub mod server;
pub mod shell;

mod config;
mod dial;
mod ending;
mod files;
mod frame;
mod harden;
mod hello;
mod hub;
mod link;
mod program;
mod quic;
mod sockets;
mod spool;
mod tls;

pub use config::{HubConfig, Peer, StartError, Windows};
pub use files::{IncomingFile, SendFileError};
pub use harden::{harden_process, logging};
pub use hub::{Event, Hub, SendError};
pub use program::{program, tell};
pub use sockets::listen_socket;
pub use tls::TlsIdentity;
pub use wugan_keys::language;
