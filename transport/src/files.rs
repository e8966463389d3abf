//! Files on streams of their own: sent from disk, spooled to disk, answered by the receiving caller.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use quinn::{
    Connection, ConnectionError, ReadError, ReadExactError, ReadToEndError, RecvStream, SendStream, VarInt, WriteError,
};
use tokio::{
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
};
use tracing::error;
use wugan_protocol::{
    codec,
    limits::{ENTRY_BYTES_MAX, FILE_BYTES_MAX},
    message::FileReply,
    party::Party,
};

use crate::{
    ending::{Code, Ending, describe},
    hub::{Event, Shared},
    spool::{Part, SpoolError, Temporary},
};

/// A file that has arrived whole: as many bytes as declared, hashed, synced under a temporary name.
///
/// Dropping it deletes it and answers nothing, so that the sender sees [`SendFileError::Lost`] and may try again.
#[derive(Debug)]
pub struct IncomingFile {
    /// Who sent it.
    pub from: Party,
    /// The announcement that came with it, unverified.
    pub line: Vec<u8>,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    temporary: Temporary,
    reply: oneshot::Sender<FileReply>,
}

impl IncomingFile {
    /// Where the bytes lie now.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the file its final name, on the spool's file system, syncs the folder, and then answers
    /// [`FileReply::Kept`]. A sender that is gone by now does not learn it, and sends the same file again.
    ///
    /// # Errors
    /// The file could not be renamed or the folder not synced; nothing is answered.
    pub async fn keep_as(self, target: impl Into<PathBuf>) -> io::Result<()> {
        let (temporary, target) = (self.temporary, target.into());
        blocking(move || temporary.keep_as(&target)).await?;
        let _ = self.reply.send(FileReply::Kept);
        Ok(())
    }

    /// Deletes the file and answers with a code of the closed list of reasons.
    pub fn refuse(self, code: u16) {
        let _ = self.reply.send(FileReply::Refused(code));
    }
}

/// Why a file was not answered by its receiver. All but the first four may pass: try again.
#[derive(Debug, thiserror::Error)]
pub enum SendFileError {
    /// Not one of the peers.
    #[error("member {} ({}) is not among the peers", .0.member, .0.role.name())]
    UnknownPeer(Party),
    /// The announcement is longer than a log entry may be.
    #[error("announcement of {bytes} bytes is larger than the limit of {ENTRY_BYTES_MAX}")]
    LineTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The file is longer than any announced file may be.
    #[error("file of {bytes} bytes is larger than the limit of {FILE_BYTES_MAX}")]
    FileTooLong {
        /// Its length.
        bytes: u64,
    },
    /// The local file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// There is no connection.
    #[error("{0} is not connected")]
    NotConnected(String),
    /// The receiver has no room for it.
    #[error("the receiver has not enough free disk space")]
    NoSpace,
    /// The receiver could not write it.
    #[error("the receiver could not store the file, see its log")]
    Storage,
    /// The connection was lost, or the receiver gave the file up, before an answer came.
    #[error("no answer from the receiver: {0}")]
    Lost(String),
}

/// Sends one file and waits for its answer.
pub(crate) async fn send(connection: &Connection, line: &[u8], path: &Path) -> Result<FileReply, SendFileError> {
    let unreadable = |error| SendFileError::Read { path: path.to_path_buf(), error };
    let header = header(line)?;
    let (file, bytes) = open(path.to_path_buf()).await.map_err(unreadable)?;
    if bytes > FILE_BYTES_MAX {
        return Err(SendFileError::FileTooLong { bytes });
    }
    let (send, mut receive) = connection.open_bi().await.map_err(lost)?;
    let mut out = Outgoing::new(send);
    out.write(header).await?;
    out.write(bytes.to_le_bytes().to_vec()).await?;
    send_contents(&mut out, file, bytes, unreadable).await?;
    out.finish();
    let reply = receive.read_to_end(REPLY_BYTES_MAX).await;
    let reply = reply.map_err(|e| match e {
        ReadToEndError::Read(ReadError::Reset(code)) => given_up(code),
        ReadToEndError::Read(ReadError::ConnectionLost(error)) => lost(error),
        other => SendFileError::Lost(other.to_string()),
    })?;
    codec::decode(&reply).map_err(|_| SendFileError::Lost("malformed answer".into()))
}

/// Reads the next chunk while the last one is being sent.
async fn send_contents(
    out: &mut Outgoing,
    mut file: File,
    bytes: u64,
    unreadable: impl Fn(io::Error) -> SendFileError,
) -> Result<(), SendFileError> {
    let mut left = bytes;
    let mut full = Vec::new();
    loop {
        let size = chunk(left);
        let reading = blocking(move || {
            let mut next = vec![0; size];
            file.read_exact(&mut next)?;
            Ok((file, next))
        });
        let (read, written) = tokio::join!(reading, out.write(full));
        written?;
        (file, full) = read.map_err(&unreadable)?;
        left -= size as u64;
        if full.is_empty() {
            return Ok(());
        }
    }
}

/// Spools the files that a peer sends, each in a task of its own. Returns when the peer breaks a rule; the files under
/// way go with the connection.
pub(crate) async fn receive_all(shared: &Arc<Shared>, from: Party, connection: &Connection) -> Ending {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    tasks.spawn(receive_one(shared.clone(), from, send, receive));
                }
                // The control stream, whose last messages may still be unread, ends the connection.
                Err(_) => break,
            },
            Some(done) = tasks.join_next() => {
                if let Ok(Err(ending)) = done {
                    return ending;
                }
            }
        }
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok(Err(ending)) = done {
            return ending;
        }
    }
    std::future::pending().await
}

/// Bidirectional streams for files that a peer may have open at once.
pub(crate) const FILES_AT_ONCE_MAX: u32 = 4;

/// From the first byte to the answer. An error is the peer's fault.
async fn receive_one(
    shared: Arc<Shared>,
    from: Party,
    send: SendStream,
    mut receive: RecvStream,
) -> Result<(), Ending> {
    let out = Outgoing::new(send);
    let (line, arrived) = match spool(&shared, &mut receive).await {
        Ok(arrived) => arrived,
        Err(ReceiveError::Broken(text)) => return Err(Ending::malformed(text)),
        Err(ReceiveError::Gone) => return Ok(()),
        Err(ReceiveError::Spool(error)) => {
            error!(peer = shared.name(from), %error, "cannot spool a file");
            let code = match error {
                SpoolError::NoSpace { .. } => Code::NoSpace,
                SpoolError::Io(_) => Code::Storage,
            };
            let _ = receive.stop(code.into());
            out.give_up(code);
            return Ok(());
        }
    };
    let (reply, answer) = oneshot::channel();
    let file =
        IncomingFile { from, line, bytes: arrived.bytes, sha256: arrived.sha256, temporary: arrived.temporary, reply };
    if shared.events.send(Event::File(file)).await.is_ok()
        && let Ok(answer) = answer.await
    {
        answer_with(out, &answer).await;
    }
    Ok(())
}

async fn answer_with(mut out: Outgoing, answer: &FileReply) {
    if let Ok(bytes) = codec::encode(answer)
        && out.write(bytes).await.is_ok()
    {
        out.finish();
    }
}

struct Arrived {
    temporary: Temporary,
    bytes: u64,
    sha256: [u8; 32],
}

/// Why a file did not arrive.
enum ReceiveError {
    /// The peer broke a rule of the wire.
    Broken(&'static str),
    /// The sender gave up, or the connection is lost.
    Gone,
    /// It cannot be stored here.
    Spool(SpoolError),
}

impl From<ReadExactError> for ReceiveError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Broken("file shorter than declared"),
            ReadExactError::ReadError(_) => Self::Gone,
        }
    }
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> Self {
        Self::Spool(error.into())
    }
}

/// Header, contents, end of stream.
async fn spool(shared: &Arc<Shared>, stream: &mut RecvStream) -> Result<(Vec<u8>, Arrived), ReceiveError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > ENTRY_BYTES_MAX {
        return Err(ReceiveError::Broken("announcement longer than a log entry"));
    }
    let mut line = vec![0; length];
    stream.read_exact(&mut line).await?;
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).await?;
    let bytes = u64::from_le_bytes(bytes);
    if bytes > FILE_BYTES_MAX {
        return Err(ReceiveError::Broken("file larger than the limit"));
    }
    let starting = shared.clone();
    let part = blocking(move || Ok(starting.spool.begin(bytes))).await?.map_err(ReceiveError::Spool)?;
    let part = spool_contents(stream, part, bytes).await?;
    match stream.read(&mut [0]).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(ReceiveError::Broken("file longer than declared")),
        Err(_) => return Err(ReceiveError::Gone),
    }
    let (temporary, sha256) = blocking(move || part.finish()).await?;
    let arrived = Arrived { temporary, bytes, sha256 };
    Ok((line, arrived))
}

/// Receives the next chunk while the last one is being hashed and written.
async fn spool_contents(stream: &mut RecvStream, mut part: Part, bytes: u64) -> Result<Part, ReceiveError> {
    let mut left = bytes;
    let mut full = Vec::new();
    let mut empty = vec![0; chunk(left)];
    loop {
        let writing = blocking(move || {
            part.write(&full)?;
            Ok((part, full))
        });
        let (written, received) = tokio::join!(writing, stream.read_exact(&mut empty));
        received?;
        (part, full) = written?;
        std::mem::swap(&mut full, &mut empty);
        left -= full.len() as u64;
        if full.is_empty() {
            return Ok(part);
        }
        empty.resize(chunk(left), 0);
    }
}

/// The sending half of a stream. Unless it is finished, dropping it tells the peer that the rest will not come;
/// quinn would finish it, and a part would look like the whole.
struct Outgoing {
    stream: SendStream,
    ended: bool,
}

impl Outgoing {
    fn new(stream: SendStream) -> Self {
        Self { stream, ended: false }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), SendFileError> {
        let written = self.stream.write_chunk(bytes.into()).await;
        written.map_err(|e| match e {
            WriteError::Stopped(code) => given_up(code),
            WriteError::ConnectionLost(error) => lost(error),
            other => SendFileError::Lost(other.to_string()),
        })
    }

    fn finish(mut self) {
        self.ended = self.stream.finish().is_ok();
    }

    fn give_up(mut self, code: Code) {
        self.ended = self.stream.reset(code.into()).is_ok();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.stream.reset(Code::Abandoned.into());
        }
    }
}

fn header(line: &[u8]) -> Result<Vec<u8>, SendFileError> {
    let too_long = SendFileError::LineTooLong { bytes: line.len() };
    let length = match u32::try_from(line.len()) {
        Ok(length) if line.len() <= ENTRY_BYTES_MAX => length,
        _ => return Err(too_long),
    };
    Ok([&length.to_le_bytes(), line].concat())
}

async fn open(path: PathBuf) -> io::Result<(File, u64)> {
    blocking(move || {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    })
    .await
}

/// Runs what may block away from the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn given_up(code: VarInt) -> SendFileError {
    if code == VarInt::from(Code::NoSpace) {
        SendFileError::NoSpace
    } else if code == VarInt::from(Code::Storage) {
        SendFileError::Storage
    } else {
        SendFileError::Lost("given up by the receiver".into())
    }
}

fn lost(error: ConnectionError) -> SendFileError {
    SendFileError::Lost(describe(&error))
}

fn chunk(left: u64) -> usize {
    usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES))
}

/// Bytes that are read, hashed and written at once: a fraction of a millisecond of work.
const CHUNK_BYTES: usize = 512 << 10;

/// Bytes of an encoded [`FileReply`].
const REPLY_BYTES_MAX: usize = 16;
