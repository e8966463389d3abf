//! Frames of the control stream: u32 length, then one encoded message.

use bytes::Bytes;
use quinn::{ReadExactError, RecvStream};
use wugan_protocol::{
    codec::{self, CodecError},
    limits::MESSAGE_BYTES_MAX,
    message::Message,
};

use crate::ending::{Code, Ending};

/// A message as it goes on the wire, cheap to share between connections.
pub(crate) fn encode(message: &Message) -> Result<Bytes, CodecError> {
    let body = codec::encode(message)?;
    let length = u32::try_from(body.len()).map_err(|_| CodecError::TooLarge { bytes: body.len() })?;
    let mut frame = Vec::with_capacity(LENGTH_BYTES + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame.into())
}

/// Reads the next message. `Err` says why there is none: an orderly end, a lost connection or a broken rule.
pub(crate) async fn read(stream: &mut RecvStream) -> Result<Message, Ending> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await.map_err(|e| match e {
        ReadExactError::FinishedEarly(0) => Ending::new(Code::Closed, "closed by the peer"),
        other => broken_off(other),
    })?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Ending::malformed(format!(
            "frame of {length} bytes is larger than the limit of {MESSAGE_BYTES_MAX}"
        )));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(broken_off)?;
    codec::decode(&body).map_err(|e| Ending::malformed(e.to_string()))
}

fn broken_off(error: ReadExactError) -> Ending {
    match error {
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => Ending::lost(&error),
        ReadExactError::FinishedEarly(_) => Ending::malformed("frame broken off"),
        ReadExactError::ReadError(_) => Ending::malformed("control stream reset"),
    }
}

const LENGTH_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_frame_is_the_length_and_the_message() {
        let frame = encode(&Message::Follow { entries: 7 }).unwrap();
        assert_eq!(frame[..], [12, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_message_above_the_limit_is_not_framed() {
        let line = vec![0; MESSAGE_BYTES_MAX];
        assert!(encode(&Message::Submit { line }).is_err());
    }
}
