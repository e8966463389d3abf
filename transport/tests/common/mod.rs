//! Parties with fresh identities, hubs on loopback sockets, and a raw QUIC peer that can break every rule.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rcgen::{CertificateParams, KeyPair};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{sync::mpsc, time::timeout};
use wugan_protocol::{
    message::Message,
    party::{Party, Role},
};
use wugan_transport::{Event, Hub, HubConfig, Peer, TlsIdentity, Windows};
use zeroize::Zeroizing;

/// Generous: the tests share their processors.
pub const SOON: Duration = Duration::from_secs(30);

/// Long enough for something that must not happen to happen.
pub const A_WHILE: Duration = Duration::from_millis(1_500);

pub struct Someone {
    pub party: Party,
    pub key: [u8; 32],
    pub certificate: Vec<u8>,
    pub pkcs8: Vec<u8>,
}

impl Someone {
    pub fn new(member: u16, role: Role) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pkcs8 = pkcs8.as_ref().to_vec();
        let public = Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap();
        let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).unwrap();
        let certificate = CertificateParams::default().self_signed(&pair).unwrap();
        Self {
            party: Party { member, role },
            key: public.public_key().as_ref().try_into().unwrap(),
            certificate: certificate.der().to_vec(),
            pkcs8,
        }
    }

    pub fn peer(&self) -> Peer {
        Peer {
            party: self.party,
            keys: vec![self.key],
            name: format!("member{}/{}", self.party.member, self.party.role.name()),
        }
    }

    pub fn identity(&self) -> TlsIdentity {
        TlsIdentity::new(self.certificate.clone(), Zeroizing::new(self.pkcs8.clone()))
    }

    /// A server that accepts `clients`.
    pub fn server(&self, clients: &[&Someone], socket: UdpSocket, spool: &Path) -> HubConfig {
        HubConfig {
            listen: Some(socket),
            accept: clients.iter().map(|c| c.party).collect(),
            peers: clients.iter().map(|c| c.peer()).collect(),
            ..self.alone(spool)
        }
    }

    /// A client that dials `server`, whose key it believes to be `server.key`.
    pub fn client(&self, server: &Someone, at: SocketAddr, spool: &Path) -> HubConfig {
        HubConfig { dial: vec![(server.party, vec![at.to_string()])], peers: vec![server.peer()], ..self.alone(spool) }
    }

    pub fn alone(&self, spool: &Path) -> HubConfig {
        let name = format!("spool-{}-{}", self.party.member, self.party.role.name());
        HubConfig {
            identity: self.identity(),
            local: self.party,
            peers: vec![],
            listen: None,
            accept: vec![],
            dial: vec![],
            spool: spool.join(name),
            windows: Windows::USUAL,
        }
    }

    pub fn certified(&self) -> SingleCertAndKey {
        self.certified_with(&self.pkcs8)
    }

    /// This one's certificate, signing with any key: an impostor's.
    pub fn certified_with(&self, pkcs8: &[u8]) -> SingleCertAndKey {
        let key = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
        CertifiedKey::new(vec![CertificateDer::from(self.certificate.clone())], key).into()
    }
}

pub fn coordinator() -> Someone {
    Someone::new(0, Role::Coordinator)
}

pub fn node(member: u16) -> Someone {
    Someone::new(member, Role::Node)
}

pub fn loopback() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A server and one client of it, both up.
pub struct Pair {
    pub server: Hub,
    pub server_events: mpsc::Receiver<Event>,
    pub client: Hub,
    pub client_events: mpsc::Receiver<Event>,
    pub server_party: Party,
    pub client_party: Party,
    pub folder: tempfile::TempDir,
}

pub async fn pair() -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let (server, mut server_events) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let (client, mut client_events) = Hub::start(n.client(&c, address, folder.path())).unwrap();
    up(&mut server_events, n.party).await;
    up(&mut client_events, c.party).await;
    Pair { server, server_events, client, client_events, server_party: c.party, client_party: n.party, folder }
}

pub async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    timeout(SOON, events.recv()).await.expect("an event in time").expect("a running hub")
}

pub async fn up(events: &mut mpsc::Receiver<Event>, party: Party) {
    match next(events).await {
        Event::Up(who) if who == party => {}
        other => panic!("expected {party:?} to come up, got {other:?}"),
    }
}

/// The reason of the next event, which must be a `Down`.
pub async fn down(events: &mut mpsc::Receiver<Event>, party: Party) -> String {
    match next(events).await {
        Event::Down(who, reason) if who == party => reason,
        other => panic!("expected {party:?} to go down, got {other:?}"),
    }
}

pub async fn message(events: &mut mpsc::Receiver<Event>) -> (Party, Message) {
    match next(events).await {
        Event::Message(from, message) => (from, message),
        other => panic!("expected a message, got {other:?}"),
    }
}

pub async fn nothing(events: &mut mpsc::Receiver<Event>) {
    if let Ok(event) = timeout(A_WHILE, events.recv()).await {
        panic!("expected nothing, got {event:?}");
    }
}

pub fn follow(entries: u64) -> Message {
    Message::Follow { entries }
}

/// How many files lie half-written below the folder, once deletions have had time to happen.
pub async fn left_overs(folder: &Path) -> usize {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let spools = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    spools.filter(|path| path.is_dir()).map(|spool| std::fs::read_dir(spool).unwrap().count()).sum()
}

/// A QUIC client with any certificate and any ALPN, which trusts every server.
pub async fn raw_client(
    certified: Option<SingleCertAndKey>,
    alpn: &[u8],
    server: SocketAddr,
) -> Result<(Endpoint, Connection), quinn::ConnectionError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustEverybody));
    let mut tls = match certified {
        Some(certified) => builder.with_client_cert_resolver(Arc::new(certified)),
        None => builder.with_no_client_auth(),
    };
    if !alpn.is_empty() {
        tls.alpn_protocols = vec![alpn.to_vec()];
    }
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connection = endpoint.connect_with(config, server, "wugan").unwrap().await?;
    Ok((endpoint, connection))
}

/// A QUIC server with any certificate and any ALPN, which asks for no client certificate.
pub fn raw_server(certified: SingleCertAndKey, alpn: &[u8]) -> (Endpoint, SocketAddr) {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certified));
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

/// A raw client that has greeted: whatever it does next is up to the test.
pub struct Raw {
    pub endpoint: Endpoint,
    pub connection: Connection,
    pub send: SendStream,
    pub receive: RecvStream,
}

pub async fn greeted(who: &Someone, server: SocketAddr) -> Raw {
    let (endpoint, connection) = raw_client(Some(who.certified()), b"wugan/1", server).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"wugan/1\n").await.unwrap();
    let mut hello = [0; 8];
    receive.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"wugan/1\n");
    Raw { endpoint, connection, send, receive }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[derive(Debug)]
struct TrustEverybody;

impl ServerCertVerifier for TrustEverybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
