//! Why a connection or a stream ends: the codes on the wire and the words in the log.

use std::borrow::Cow;

use quinn::{ConnectionError, VarInt};

/// Application error codes (RFC 9000 section 20.2). The first group closes connections, the second streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Code {
    /// Orderly.
    Closed = 0,
    /// The same party has connected again.
    Replaced = 1,
    /// A frame or a file that breaks the rules of the wire.
    Malformed = 2,
    /// The peer reads more slowly than it is sent to.
    QueueFull = 3,
    /// The caller found fault with a message.
    Misbehaved = 4,
    /// The receiver has no room for the file.
    NoSpace = 16,
    /// The receiver could not write the file.
    Storage = 17,
    /// Given up by the side that was to send.
    Abandoned = 18,
}

impl From<Code> for VarInt {
    fn from(code: Code) -> Self {
        VarInt::from_u32(code as u32)
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) code: Code,
    pub(crate) text: Cow<'static, str>,
}

impl Ending {
    pub(crate) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { code, text }
    }

    /// A rule of the wire was broken by the peer.
    pub(crate) fn malformed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, text)
    }

    /// The transport reports that the connection is gone.
    pub(crate) fn lost(error: &ConnectionError) -> Self {
        Self::new(Code::Closed, describe(error))
    }

    /// Whether the peer is to blame, so that the log warns.
    pub(crate) fn blames_peer(&self) -> bool {
        matches!(self.code, Code::Malformed | Code::QueueFull | Code::Misbehaved)
    }
}

/// One line about a connection error; words of the peer are cut and stripped to printable ASCII.
pub(crate) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the peer: {}", printable(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            format!("closed by the peer's transport: {:?} {}", close.error_code, printable(&close.reason))
        }
        ConnectionError::LocallyClosed => "closed".into(),
        other => other.to_string(),
    }
}

/// What an operator should look at, given why a connection attempt failed.
pub(crate) fn advice(error: &ConnectionError) -> &'static str {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        ConnectionError::TimedOut => {
            return "check that the peer runs, and that UDP to and from this address passes every firewall";
        }
        ConnectionError::VersionMismatch => return "check that the address is a wugan server's",
        _ => return "see the peer's log",
    };
    match (code, error) {
        (ALERT_NO_ALPN, _) => "check that both sides run compatible versions",
        (ALERT_FIRST..=ALERT_LAST, ConnectionError::TransportError(_)) => {
            "the server's key is not the one in the manifest: check the address, and the manifest's version here"
        }
        (ALERT_FIRST..=ALERT_LAST, _) => {
            "the peer does not admit this identity: check the manifest's version there, and the key here"
        }
        _ => "see the peer's log",
    }
}

fn printable(text: &[u8]) -> String {
    let printable = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    let kept = text.iter().filter(printable).take(REASON_BYTES_MAX);
    kept.map(|byte| char::from(*byte)).collect()
}

/// TLS alerts as QUIC error codes (RFC 9001 section 4.8).
const ALERT_FIRST: u64 = 0x100;
const ALERT_LAST: u64 = 0x1ff;
const ALERT_NO_ALPN: u64 = 0x100 + 120;

/// Bytes of a peer's reason that reach the log.
const REASON_BYTES_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_cannot_forge_log_lines() {
        let text = printable("bad\n2026 WARN forged\u{1b}[2J 名".as_bytes());
        assert_eq!(text, "bad2026 WARN forged[2J ");
        assert_eq!(printable(&[b'x'; 1_000]).len(), REASON_BYTES_MAX);
    }

    #[test]
    fn the_advice_follows_the_error() {
        assert!(advice(&ConnectionError::TimedOut).contains("firewall"));
        assert_eq!(advice(&ConnectionError::Reset), "see the peer's log");
    }
}
