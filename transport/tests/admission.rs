//! Who gets in: holders of the expected keys, and nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use rustls::sign::SingleCertAndKey;
use wugan_transport::Hub;

#[tokio::test]
async fn an_unknown_client_is_refused() {
    let stranger = node(1);
    assert!(refusal(|_| Some(stranger.certified()), b"wugan/1").await.contains("49"));
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    // certificate_required
    assert!(refusal(|_| None, b"wugan/1").await.contains("116"));
}

#[tokio::test]
async fn a_client_with_somebody_elses_certificate_is_refused() {
    let thief = node(1);
    // The member's certificate, but the thief's signature: decrypt_error.
    let stolen = |member: &Someone| Some(member.certified_with(&thief.pkcs8));
    assert!(refusal(stolen, b"wugan/1").await.contains("51"));
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused() {
    // no_application_protocol
    let member = |member: &Someone| Some(member.certified());
    assert!(refusal(member, b"wugan/2").await.contains("120"));
    assert!(refusal(member, b"").await.contains("120"));
}

/// Tries to get in with what `certified` makes of the only member, and gives the reason of the refusal. The server
/// must admit the member itself afterwards.
async fn refusal(certified: impl Fn(&Someone) -> Option<SingleCertAndKey>, alpn: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let (_server, mut events) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let reason = match raw_client(certified(&n), alpn, address).await {
        Err(error) => error,
        // With TLS 1.3 the client is done before the server has judged it.
        Ok((_endpoint, connection)) => connection.closed().await,
    };
    nothing(&mut events).await;
    let (_client, _) = Hub::start(n.client(&c, address, folder.path())).unwrap();
    up(&mut events, n.party).await;
    format!("{reason:?} {reason}")
}

#[tokio::test]
async fn a_server_with_another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (real, n, other) = (coordinator(), node(1), coordinator());
    let (_server, mut at_server) = Hub::start(other.server(&[&n], socket, folder.path())).unwrap();
    let (_client, mut events) = Hub::start(n.client(&real, address, folder.path())).unwrap();
    nothing(&mut events).await;
    nothing(&mut at_server).await;
}

#[tokio::test]
async fn a_server_with_somebody_elses_certificate_is_refused() {
    let (real, thief) = (coordinator(), coordinator());
    never_up(&real, real.certified_with(&thief.pkcs8), b"wugan/1").await;
}

#[tokio::test]
async fn a_server_of_another_protocol_is_refused() {
    let real = coordinator();
    never_up(&real, real.certified(), b"wugan/2").await;
}

/// The same raw server with the right key and protocol is dialled and greeted: the refusals above have their reason.
#[tokio::test]
async fn the_raw_server_is_dialled_when_all_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (real, n) = (coordinator(), node(1));
    let (endpoint, address) = raw_server(real.certified(), b"wugan/1");
    let (_client, mut events) = Hub::start(n.client(&real, address, folder.path())).unwrap();
    let connection = endpoint.accept().await.unwrap().await.unwrap();
    let (mut send, mut receive) = connection.accept_bi().await.unwrap();
    let mut hello = [0; 8];
    receive.read_exact(&mut hello).await.unwrap();
    // Admission takes the answer, not the handshake alone.
    nothing(&mut events).await;
    send.write_all(&hello).await.unwrap();
    up(&mut events, real.party).await;
}

async fn never_up(expected: &Someone, certified: SingleCertAndKey, alpn: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let n = node(1);
    let (endpoint, address) = raw_server(certified, alpn);
    let (_client, mut events) = Hub::start(n.client(expected, address, folder.path())).unwrap();
    let refused = endpoint.accept().await.unwrap().await;
    assert!(refused.is_err(), "the handshake went through");
    nothing(&mut events).await;
}
