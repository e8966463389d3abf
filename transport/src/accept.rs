//! The listening side: who may come in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use quinn::{Connection, Endpoint, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::warn;
use wugan_protocol::party::Party;

use crate::{
    ending::{Code, describe},
    hello,
    hub::Shared,
    link, tls,
};

/// Admits holders of the keys in `clients` until the hub closes.
pub(crate) async fn accept_for_ever(shared: Arc<Shared>, endpoint: Endpoint, clients: HashMap<[u8; 32], Party>) {
    let door = Arc::new(Door { clients, log: Throttle::default() });
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut closing = shared.closing.subscribe();
    loop {
        let incoming = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        // A forged source address costs no state here and no traffic there (RFC 9000 section 8.1.2).
        if !incoming.remote_address_validated() {
            let _ = incoming.retry();
            continue;
        }
        match handshakes.clone().try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(admit(shared.clone(), door.clone(), incoming, permit));
            }
            Err(_) => incoming.refuse(),
        }
    }
}

/// Who is expected, and how often to tell about others.
struct Door {
    clients: HashMap<[u8; 32], Party>,
    log: Throttle,
}

impl Door {
    /// The verifier let in only known keys; this tells whose it is.
    fn party(&self, connection: &Connection) -> Option<Party> {
        let identity = connection.peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let key = tls::identity_key(chain.first()?).ok()?;
        self.clients.get(&key).copied()
    }
}

/// Handshake, greeting, and then the connection itself.
async fn admit(shared: Arc<Shared>, door: Arc<Door>, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let address = incoming.remote_address();
    let connection = match timeout(HANDSHAKE_MAX, incoming.into_future()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return door.log.refused(&address, &describe(&error)),
        Err(_) => return door.log.refused(&address, "the handshake takes too long"),
    };
    let Some(party) = door.party(&connection) else {
        return door.log.refused(&address, "unknown key");
    };
    match hello::accepted(connection.clone()).await {
        Ok(session) => {
            drop(permit);
            link::serve(&shared, party, session).await;
        }
        Err(error) => {
            connection.close(Code::Malformed.into(), b"no greeting");
            warn!(peer = shared.name(party), %address, %error, "connection closed before its greeting");
        }
    }
}

/// Strangers must not be able to fill the log.
#[derive(Default)]
struct Throttle(Mutex<Option<Told>>);

struct Told {
    at: Instant,
    untold: u64,
}

impl Throttle {
    fn refused(&self, address: &std::net::SocketAddr, reason: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = match &mut *last {
            Some(told) if told.at.elapsed() < TELL_EVERY => {
                told.untold += 1;
                return;
            }
            Some(told) => told.untold,
            None => 0,
        };
        warn!(%address, reason, untold, "connection refused");
        *last = Some(Told { at: Instant::now(), untold: 0 });
    }
}

/// Handshakes under way at once; each costs a signature.
const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const TELL_EVERY: Duration = Duration::from_secs(10);
