//! Opening the control stream. Only an answer on it proves admission: with TLS 1.3 a client's handshake is complete
//! before the server has judged its certificate.

use std::time::Duration;

use quinn::{Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

/// A connection whose control stream both sides have greeted on.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
}

/// Why a connection did not become a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("{}", crate::ending::describe(.0))]
    Connection(#[from] ConnectionError),
    #[error("the peer greeted with something else")]
    Unexpected,
    #[error("no greeting within {} s", HELLO_MAX.as_secs())]
    Late,
}

/// The dialling side: greets, and waits for the answer.
pub(crate) async fn dialled(connection: Connection) -> Result<Session, HelloError> {
    within(async {
        let (mut send, mut receive) = connection.open_bi().await?;
        greet(&mut send).await?;
        expect(&mut receive).await?;
        Ok(Session { connection: connection.clone(), send, receive })
    })
    .await
}

/// The accepting side: waits for the greeting, and answers.
pub(crate) async fn accepted(connection: Connection) -> Result<Session, HelloError> {
    within(async {
        let (mut send, mut receive) = connection.accept_bi().await?;
        expect(&mut receive).await?;
        greet(&mut send).await?;
        Ok(Session { connection: connection.clone(), send, receive })
    })
    .await
}

async fn within(hello: impl Future<Output = Result<Session, HelloError>>) -> Result<Session, HelloError> {
    timeout(HELLO_MAX, hello).await.map_err(|_| HelloError::Late)?
}

async fn greet(stream: &mut SendStream) -> Result<(), HelloError> {
    // Messages overtake the bytes of files.
    let _ = stream.set_priority(1);
    stream.write_all(HELLO).await.map_err(|e| match e {
        WriteError::ConnectionLost(error) => HelloError::Connection(error),
        _ => HelloError::Unexpected,
    })
}

async fn expect(stream: &mut RecvStream) -> Result<(), HelloError> {
    let mut hello = [0; HELLO.len()];
    stream.read_exact(&mut hello).await.map_err(|e| match e {
        ReadExactError::ReadError(ReadError::ConnectionLost(error)) => HelloError::Connection(error),
        _ => HelloError::Unexpected,
    })?;
    if hello == *HELLO { Ok(()) } else { Err(HelloError::Unexpected) }
}

const HELLO: &[u8; 8] = b"wugan/1\n";
const HELLO_MAX: Duration = Duration::from_secs(10);
