//! The admin socket of a member's program: JSON lines, for the user that runs the program only.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener as StdListener, UnixStream as StdStream},
    },
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};
use wugan_protocol::engine::Ticket;

use crate::{client::at_any_length, shell::ServiceError};

/// Requests that wait for their answers.
#[derive(Clone, Default)]
pub struct Desk {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    answers: HashMap<u64, oneshot::Sender<String>>,
}

impl Desk {
    /// Gives an answer to whoever waits for it, if it still does.
    pub(crate) fn answer(&self, ticket: Ticket, line: String) {
        let waiting = self.lock().answers.remove(&ticket.0);
        // An asker that is gone needs no answer.
        drop(waiting.map(|asker| asker.send(line)));
    }

    fn ticket(&self) -> (Ticket, oneshot::Receiver<String>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.answers.insert(ticket, sender);
        (Ticket(ticket), receiver)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the socket with mode 0600; one left by a program that was killed is replaced.
///
/// # Errors
/// Another program that answers there, or the file system.
pub fn open(path: &Path) -> Result<StdListener, ServiceError> {
    bind(path).map_err(|error| ServiceError::Admin { socket: path.to_owned(), error })
}

fn bind(path: &Path) -> io::Result<StdListener> {
    if at_any_length(path, |path| StdStream::connect(path)).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = at_any_length(path, |path| StdListener::bind(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the socket for ever, on the running runtime. `read` makes of a line what the engine is told, or the line that
/// refuses it.
pub fn serve<L: Send + 'static>(
    listener: StdListener,
    desk: Desk,
    locals: mpsc::Sender<L>,
    read: fn(Ticket, &[u8]) -> Result<L, String>,
) {
    tokio::spawn(async move {
        let listener = match UnixListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the admin socket cannot be served"),
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(attend(stream, desk.clone(), locals.clone(), read))),
                Err(error) => tracing::warn!(%error, "admin socket"),
            }
        }
    });
}

async fn attend<L>(
    stream: UnixStream,
    desk: Desk,
    locals: mpsc::Sender<L>,
    read: fn(Ticket, &[u8]) -> Result<L, String>,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            // The end, or a line that is too long.
            return Ok(());
        }
        let (ticket, answer) = desk.ticket();
        match read(ticket, &line) {
            Err(refusal) => desk.answer(ticket, refusal),
            Ok(local) => locals.send(local).await.map_err(|_| io::ErrorKind::BrokenPipe)?,
        }
        let mut answer = answer.await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        answer.push('\n');
        output.write_all(answer.as_bytes()).await?;
    }
}

/// Bytes of a request: a few times those of a free text of the staff.
const LINE_BYTES_MAX: u64 = 128 << 10;
