//! The dialling side: connects, and connects again, for ever.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{ClientConfig, ConnectError, ConnectionError, Endpoint};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};
use tracing::warn;
use wugan_protocol::party::Party;

use crate::{
    ending::advice,
    hello::{self, HelloError, Session},
    hub::Shared,
    link,
    tls::SERVER_NAME,
};

/// Whom to dial, where, and expecting which key.
pub(crate) struct Target {
    pub(crate) party: Party,
    /// `host:port`, tried in turn.
    pub(crate) addresses: Vec<String>,
    pub(crate) config: ClientConfig,
}

/// Keeps one connection to `target` until the hub closes.
pub(crate) async fn dial_for_ever(shared: Arc<Shared>, endpoint: Endpoint, target: Target) {
    let mut closing = shared.closing.subscribe();
    tokio::select! {
        _ = closing.wait_for(|closing| *closing) => {}
        () = dial_again_and_again(&shared, &endpoint, &target) => {}
    }
}

async fn dial_again_and_again(shared: &Arc<Shared>, endpoint: &Endpoint, target: &Target) {
    let mut backoff = Backoff::default();
    let mut told = String::new();
    loop {
        match connect(endpoint, target).await {
            Ok(session) => {
                told.clear();
                let since = Instant::now();
                // A task of its own, so that closing the hub lets the connection say its last words.
                let shared = shared.clone();
                let party = target.party;
                let serving = tokio::spawn(async move { link::serve(&shared, party, session).await });
                let _ = serving.await;
                if since.elapsed() > STABLE_MIN {
                    backoff = Backoff::default();
                }
            }
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    let peer = shared.name(target.party);
                    warn!(
                        peer,
                        address = target.addresses.join(" "),
                        error = text,
                        "cannot connect; {}",
                        error.advice()
                    );
                    told = text;
                }
            }
        }
        sleep(backoff.next()).await;
    }
}

/// Tries each address of the name in turn; the last error is the one told.
async fn connect(endpoint: &Endpoint, target: &Target) -> Result<Session, DialError> {
    let mut result = Err(DialError::Name(io::ErrorKind::NotFound.into()));
    for address in resolve(&target.addresses).await? {
        result = match endpoint.connect_with(target.config.clone(), address, SERVER_NAME) {
            Ok(connecting) => match timeout(CONNECT_MAX, connecting).await {
                Ok(Ok(connection)) => hello::dialled(connection).await.map_err(DialError::Hello),
                Ok(Err(error)) => Err(DialError::Hello(error.into())),
                Err(_) => Err(DialError::Hello(ConnectionError::TimedOut.into())),
            },
            Err(error) => Err(DialError::Address(error)),
        };
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Where the names lead; an error only where none leads anywhere.
async fn resolve(names: &[String]) -> Result<Vec<SocketAddr>, DialError> {
    let (mut found, mut failed) = (Vec::new(), None);
    for name in names {
        match lookup_host(name).await {
            Ok(addresses) => found.extend(addresses),
            Err(error) => failed = Some(DialError::Name(error)),
        }
    }
    failed.filter(|_| found.is_empty()).map_or(Ok(found), Err)
}

/// Why a peer cannot be reached.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("the name cannot be resolved: {0}")]
    Name(io::Error),
    #[error("{0}")]
    Address(ConnectError),
    #[error("{0}")]
    Hello(HelloError),
}

impl DialError {
    fn advice(&self) -> &'static str {
        match self {
            Self::Name(_) => "check the host name, and this machine's name service",
            Self::Address(_) => "check the address; IPv6 needs IPv6 here too",
            Self::Hello(HelloError::Connection(error)) => advice(error),
            Self::Hello(_) => "check that the address is a wugan server's, and see its log",
        }
    }
}

/// Waiting times that double, with jitter so that many peers of a restarted server do not come at once.
#[derive(Default)]
struct Backoff {
    tries: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let full = BACKOFF_MIN.saturating_mul(1 << self.tries.min(BACKOFF_DOUBLINGS_MAX)).min(BACKOFF_MAX);
        self.tries = self.tries.saturating_add(1);
        let mut random = [0];
        // Without randomness, the full time is as good.
        let _ = SystemRandom::new().fill(&mut random);
        full - (full / 2) * u32::from(random[0]) / 256
    }
}

const CONNECT_MAX: Duration = Duration::from_secs(10);
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
const BACKOFF_DOUBLINGS_MAX: u32 = 6;

/// A connection that lasted so long was a good one: the next attempt comes soon.
const STABLE_MIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_to_its_limit_with_jitter() {
        let mut backoff = Backoff::default();
        for tries in 0..100 {
            let full = (200u64 << tries.min(20)).min(10_000);
            let wait = backoff.next().as_millis() as u64;
            assert!(wait >= full / 2 - 1 && wait <= full, "{wait} ms at try {tries}");
        }
    }
}
