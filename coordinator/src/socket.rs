//! The admin socket: JSON lines, for the user that runs the coordinator only.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use crate::{
    admin::Request,
    client::at_any_length,
    engine::{Local, Ticket},
};

/// Requests that wait for their answers.
#[derive(Clone, Default)]
pub(crate) struct Desk {
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

/// Opens the socket; one left by a program that was killed is replaced.
///
/// # Errors
/// Another coordinator that answers there, or the file system.
pub(crate) fn open(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    if at_any_length(path, |path| std::os::unix::net::UnixStream::connect(path)).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = at_any_length(path, |path| std::os::unix::net::UnixListener::bind(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the socket for ever, on the running runtime.
pub(crate) fn serve(listener: std::os::unix::net::UnixListener, desk: Desk, locals: mpsc::Sender<Local>) {
    tokio::spawn(async move {
        let listener = match UnixListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the admin socket cannot be served"),
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(attend(stream, desk.clone(), locals.clone()))),
                Err(error) => tracing::warn!(%error, "admin socket"),
            }
        }
    });
}

async fn attend(stream: UnixStream, desk: Desk, locals: mpsc::Sender<Local>) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        let mut answer = match Request::read(line.as_bytes()) {
            Err(refusal) => refusal.line(),
            Ok(request) => {
                let (ticket, answer) = desk.ticket();
                let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                locals.send(Local::Admin(ticket, request)).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
                answer.await.map_err(gone)?
            }
        };
        answer.push('\n');
        output.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
