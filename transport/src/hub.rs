//! The crate's entry: all connections of one party.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use quinn::Endpoint;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::{debug, error};
use wugan_protocol::{
    codec::CodecError,
    message::{FileReply, Message},
    party::Party,
};

use crate::{
    accept,
    config::{HubConfig, Peer, StartError, Windows},
    dial,
    ending::{Code, Ending},
    files::{self, IncomingFile, SendFileError},
    frame,
    link::{Link, Seat},
    quic,
    spool::Spool,
    tls::{Credentials, TlsIdentity},
};

/// What happens on the connections. For one party, `Up` and `Down` alternate and enclose its messages.
#[derive(Debug)]
pub enum Event {
    /// Connected, and admitted by both sides.
    Up(Party),
    /// The connection is gone, for this reason. Peers that are dialled are dialled again.
    Down(Party, String),
    /// A well-formed message; whether it makes sense is for the receiver to judge.
    Message(Party, Message),
    /// A whole file, to be kept or refused. It may come just after its sender's `Down`.
    File(IncomingFile),
}

/// The connections of one party. Clones share them; they end with [`Hub::close`].
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// Starts to listen and to dial, on the running tokio runtime. The receiver is to be read all the time: while it
    /// is full, peers are not read, though sending goes on.
    ///
    /// # Errors
    /// The configuration contradicts itself, or a socket or the spool folder cannot be used.
    pub fn start(config: HubConfig) -> Result<(Hub, mpsc::Receiver<Event>), StartError> {
        tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let credentials = credentials(&config.identity, config.local, &config.peers)?;
        let seats = seats(config.peers)?;
        let mut clients = HashMap::new();
        for party in config.accept {
            clients.extend(keys_of(&seats, party)?.map(|key| (key, party)));
        }
        let mut dials = Vec::new();
        for (party, addresses) in config.dial {
            dials.push((party, addresses, keys_of(&seats, party)?.collect()));
        }
        let spool =
            Spool::open(config.spool.clone()).map_err(|error| StartError::Spool { folder: config.spool, error })?;
        let listening = match config.listen {
            Some(socket) => {
                let keys = clients.keys().copied().collect();
                let endpoint = quic::listening(&credentials, keys, socket, config.windows);
                Some(endpoint.map_err(StartError::Socket)?)
            }
            None => None,
        };
        let dialling = match dials.is_empty() {
            true => None,
            false => Some(quic::dialling(&credentials, config.windows).map_err(StartError::Socket)?),
        };
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            seats,
            spool,
            events,
            closing: watch::Sender::new(false),
            endpoints: listening.iter().chain(&dialling).cloned().collect(),
        });
        if let Some(endpoint) = listening {
            tokio::spawn(accept::accept_for_ever(shared.clone(), endpoint, clients));
        }
        if let Some(endpoint) = dialling {
            spawn_dials(&shared, &endpoint, &credentials, dials, config.windows)?;
        }
        Ok((Hub(shared), receiver))
    }

    /// Queues a message; never waits.
    ///
    /// # Errors
    /// It was not queued. A queue of more than 64 MiB also closes the connection.
    pub fn send(&self, to: Party, message: &Message) -> Result<(), SendError> {
        let frame = frame::encode(message)?;
        self.0.link(to)?.send(frame).map_err(|_| SendError::QueueFull)
    }

    /// Queues one message for several peers, encoded once. Those who are not connected are left out.
    ///
    /// # Errors
    /// The message is too large to be sent to anyone.
    pub fn send_all(&self, to: &[Party], message: &Message) -> Result<(), SendError> {
        let frame = frame::encode(message)?;
        for &party in to {
            let sent = self.0.link(party).map(|link| link.send(frame.clone()));
            if let Err(error) = sent {
                debug!(%error, "message not sent");
            }
        }
        Ok(())
    }

    /// Sends the file at `path` with its announcement `line`, and waits until the receiver has kept or refused it.
    /// At most four files go to one peer at a time; others wait for their turn. Dropping the future gives the file up.
    ///
    /// # Errors
    /// The file was not answered; see [`SendFileError`] for whether to try again.
    pub async fn send_file(&self, to: Party, line: Vec<u8>, path: &Path) -> Result<FileReply, SendFileError> {
        let link = self.0.link(to).map_err(|e| match e {
            SendError::NotConnected(name) => SendFileError::NotConnected(name),
            _ => SendFileError::UnknownPeer(to),
        })?;
        files::send(&link.connection, &line, path).await
    }

    /// Ends the connection of a peer that misbehaves. `reason` goes to the log and to the peer: it holds no content.
    pub fn disconnect(&self, peer: Party, reason: &str) {
        if let Ok(link) = self.0.link(peer) {
            link.end(Ending::new(Code::Misbehaved, reason.to_owned()));
        }
    }

    /// Takes no more messages, waits at most `within` until the peers have acknowledged all that is queued, and closes
    /// every connection and socket. Files under way are given up.
    pub async fn close(&self, within: Duration) {
        let links: Vec<Link> = self.0.seats.values().filter_map(Seat::link).collect();
        self.0.closing.send_replace(true);
        let finished: Vec<_> = links.iter().map(Link::finish).collect();
        let all = async {
            for one in finished {
                let _ = one.await;
            }
        };
        if timeout(within, all).await.is_err() {
            error!("some messages were not acknowledged before closing");
        }
        for endpoint in &self.0.endpoints {
            endpoint.close(Code::Closed.into(), b"closed");
            // Lets the close reach the peers before the socket goes.
            let _ = timeout(LINGER_MAX, endpoint.wait_idle()).await;
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.seats.values().map(|seat| &seat.peer)).finish()
    }
}

/// Why a message was not queued.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    /// Not one of the peers.
    #[error("member {} ({}) is not among the peers", .0.member, .0.role.name())]
    UnknownPeer(Party),
    /// There is no connection, or the hub is closing.
    #[error("{0} is not connected")]
    NotConnected(String),
    /// The peer reads too slowly; its connection is being closed.
    #[error("too many bytes wait for the peer")]
    QueueFull,
    /// The message exceeds the limit.
    #[error(transparent)]
    Message(#[from] CodecError),
}

/// What the tasks of a hub share.
pub(crate) struct Shared {
    pub(crate) seats: HashMap<Party, Seat>,
    pub(crate) spool: Spool,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) closing: watch::Sender<bool>,
    endpoints: Vec<Endpoint>,
}

impl Shared {
    /// The peer's name for the log.
    pub(crate) fn name(&self, party: Party) -> &str {
        self.seats.get(&party).map_or("unknown", |seat| &seat.peer.name)
    }

    /// Waits while the caller has too many unread events. A caller that reads no more is no reason to stop.
    pub(crate) async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    fn link(&self, party: Party) -> Result<Link, SendError> {
        let seat = self.seats.get(&party).ok_or(SendError::UnknownPeer(party))?;
        match seat.link() {
            Some(link) if !*self.closing.borrow() => Ok(link),
            _ => Err(SendError::NotConnected(seat.peer.name.clone())),
        }
    }
}

/// The identity must be the one that everybody else expects.
fn credentials(identity: &TlsIdentity, local: Party, peers: &[Peer]) -> Result<Credentials, StartError> {
    let credentials = Credentials::new(identity).map_err(StartError::Identity)?;
    match peers.iter().find(|peer| peer.party == local) {
        Some(listed) if !listed.keys.contains(&credentials.key()) => Err(StartError::OtherKey),
        _ => Ok(credentials),
    }
}

fn seats(peers: Vec<Peer>) -> Result<HashMap<Party, Seat>, StartError> {
    let mut keys = HashSet::new();
    let mut seats = HashMap::new();
    for peer in peers {
        if !peer.keys.iter().all(|key| keys.insert(*key)) || seats.contains_key(&peer.party) {
            return Err(StartError::DuplicatePeer(peer.name));
        }
        seats.insert(peer.party, Seat::new(peer));
    }
    Ok(seats)
}

fn keys_of(seats: &HashMap<Party, Seat>, party: Party) -> Result<impl Iterator<Item = [u8; 32]>, StartError> {
    let seat = seats.get(&party).ok_or(StartError::UnknownPeer(party))?;
    Ok(seat.peer.keys.iter().copied())
}

fn spawn_dials(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    credentials: &Credentials,
    dials: Vec<(Party, Vec<String>, HashSet<[u8; 32]>)>,
    windows: Windows,
) -> Result<(), StartError> {
    for (party, addresses, keys) in dials {
        let config = quic::client(credentials, keys, windows).map_err(StartError::Identity)?;
        let target = dial::Target { party, addresses, config };
        tokio::spawn(dial::dial_for_ever(shared.clone(), endpoint.clone(), target));
    }
    Ok(())
}

/// Unread events. Few, because each may hold a message of a megabyte.
const EVENTS_MAX: usize = 64;

const LINGER_MAX: Duration = Duration::from_secs(1);
