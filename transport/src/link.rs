//! One admitted connection, from `Up` to `Down`, and the seat that a party has for it.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use wugan_protocol::party::Party;

use crate::{
    config::Peer,
    ending::{Code, Ending},
    files, frame,
    hello::Session,
    hub::{Event, Shared},
};

/// A peer's place in the hub: at most one connection holds it at a time.
pub(crate) struct Seat {
    pub(crate) peer: Peer,
    /// Held from before `Up` until after `Down`, so that the events of two connections never mix.
    turn: tokio::sync::Mutex<()>,
    newest: Mutex<Option<Connection>>,
    link: Mutex<Option<Link>>,
}

impl Seat {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer, turn: tokio::sync::Mutex::default(), newest: Mutex::default(), link: Mutex::default() }
    }

    /// The connection that can be sent to now.
    pub(crate) fn link(&self) -> Option<Link> {
        lock(&self.link).clone()
    }

    /// Whoever came before makes room.
    fn displace(&self, connection: &Connection) {
        if let Some(former) = lock(&self.newest).replace(connection.clone()) {
            former.close(Code::Replaced.into(), b"the same party has connected again");
        }
    }
}

/// What others do with a connection: queue frames, open streams, end it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    queue: mpsc::UnboundedSender<Item>,
    queued_bytes: Arc<AtomicUsize>,
    ending: watch::Sender<Option<Ending>>,
}

impl Link {
    /// Queues a frame. A full queue ends the connection: what the peer misses it asks for again when it is back.
    pub(crate) fn send(&self, frame: Bytes) -> Result<(), QueueFull> {
        let bytes = frame.len();
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX {
            self.end(Ending::new(Code::QueueFull, "the peer reads too slowly"));
            return Err(QueueFull);
        }
        // A connection that is ending drops its queue.
        let _ = self.queue.send(Item::Frame(frame));
        Ok(())
    }

    /// Ends the connection at once; the first reason counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|first| {
            let unset = first.is_none();
            first.get_or_insert(ending);
            unset
        });
    }

    /// Resolves when the peer has acknowledged all that is queued now, or when the connection is gone.
    pub(crate) fn finish(&self) -> oneshot::Receiver<()> {
        let (finished, wait) = oneshot::channel();
        let _ = self.queue.send(Item::Finish(finished));
        wait
    }
}

/// More than [`QUEUE_BYTES_MAX`] wait for a slow peer.
#[derive(Debug)]
pub(crate) struct QueueFull;

/// Carries a session until it ends, and tells why.
pub(crate) async fn serve(shared: &Arc<Shared>, party: Party, session: Session) {
    let Some(seat) = shared.seats.get(&party) else {
        return;
    };
    let connection = session.connection.clone();
    seat.displace(&connection);
    let _turn = seat.turn.lock().await;
    if connection.close_reason().is_some() {
        return;
    }
    let (queue, frames) = mpsc::unbounded_channel();
    let link =
        Link { connection: connection.clone(), queue, queued_bytes: Arc::default(), ending: watch::Sender::new(None) };
    *lock(&seat.link) = Some(link.clone());
    info!(peer = seat.peer.name, address = %connection.remote_address(), "connected");
    let ending = carry(shared, party, session, &link, frames).await;
    *lock(&seat.link) = None;
    connection.close(ending.code.into(), ending.text.as_bytes());
    if ending.blames_peer() {
        warn!(peer = seat.peer.name, reason = %ending.text, "connection closed: the peer broke a rule");
    } else {
        info!(peer = seat.peer.name, reason = %ending.text, "disconnected");
    }
    shared.emit(Event::Down(party, ending.text.into())).await;
}

async fn carry(
    shared: &Arc<Shared>,
    party: Party,
    session: Session,
    link: &Link,
    frames: mpsc::UnboundedReceiver<Item>,
) -> Ending {
    let Session { connection, send, receive } = session;
    let mut ending = link.ending.subscribe();
    shared.emit(Event::Up(party)).await;
    tokio::select! {
        biased;
        ended = ending.wait_for(Option::is_some) => match ended {
            Ok(reason) => reason.clone().unwrap_or_else(hub_gone),
            Err(_) => hub_gone(),
        },
        ended = read_messages(shared, party, receive) => ended,
        ended = files::receive_all(shared, party, &connection) => ended,
        never = write_frames(send, frames, &link.queued_bytes) => match never {},
    }
}

/// Reads to the end of what the peer sent, even when the connection is closed already.
async fn read_messages(shared: &Shared, party: Party, mut stream: RecvStream) -> Ending {
    loop {
        match frame::read(&mut stream).await {
            Ok(message) => shared.emit(Event::Message(party, message)).await,
            Err(ending) => return ending,
        }
    }
}

/// Never ends: a connection that cannot be written to is noticed, with the reason, where it is read.
async fn write_frames(
    mut stream: SendStream,
    mut frames: mpsc::UnboundedReceiver<Item>,
    queued_bytes: &AtomicUsize,
) -> Infallible {
    while let Some(item) = frames.recv().await {
        match item {
            Item::Frame(frame) => {
                let bytes = frame.len();
                if stream.write_chunk(frame).await.is_err() {
                    break;
                }
                queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            Item::Finish(finished) => {
                let _ = stream.finish();
                let _ = stream.stopped().await;
                let _ = finished.send(());
            }
        }
    }
    std::future::pending().await
}

/// What the writer takes from the queue.
enum Item {
    Frame(Bytes),
    Finish(oneshot::Sender<()>),
}

fn hub_gone() -> Ending {
    Ending::new(Code::Closed, "closed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that may wait for one peer.
const QUEUE_BYTES_MAX: usize = 64 << 20;
