//! Connections and messages between well-behaved parties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use wugan_protocol::{
    limits::MESSAGE_BYTES_MAX,
    message::Message,
    party::{Party, Role},
};
use wugan_transport::{Event, Hub, HubConfig, SendError, StartError};

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let mut pair = pair().await;
    for entries in 0..200 {
        pair.client.send(pair.server_party, &follow(entries)).unwrap();
        pair.server.send(pair.client_party, &follow(entries)).unwrap();
    }
    for entries in 0..200 {
        let at_server = message(&mut pair.server_events).await;
        assert_eq!(at_server, (pair.client_party, follow(entries)));
        let at_client = message(&mut pair.client_events).await;
        assert_eq!(at_client, (pair.server_party, follow(entries)));
    }
}

#[tokio::test]
async fn whoever_is_not_connected_is_named() {
    let pair = pair().await;
    let stranger = Party { member: 9, role: Role::Node };
    let unknown = pair.client.send(stranger, &follow(0));
    assert_eq!(unknown, Err(SendError::UnknownPeer(stranger)));
    pair.server.close(Duration::from_secs(5)).await;
    let gone = pair.server.send(pair.client_party, &follow(0));
    assert_eq!(gone.unwrap_err().to_string(), "member1/node is not connected");
}

#[tokio::test]
async fn a_message_above_the_limit_is_not_sent() {
    let mut pair = pair().await;
    let line = vec![0; MESSAGE_BYTES_MAX];
    let sent = pair.client.send(pair.server_party, &Message::Submit { line });
    assert!(matches!(sent, Err(SendError::Message(_))));
    pair.client.send(pair.server_party, &follow(1)).unwrap();
    assert_eq!(message(&mut pair.server_events).await.1, follow(1));
}

#[tokio::test]
async fn what_is_queued_arrives_before_the_close() {
    let mut pair = pair().await;
    let big = |n| Message::Submit { line: vec![n; 300_000] };
    for n in 0..100 {
        pair.client.send(pair.server_party, &big(n)).unwrap();
    }
    let reading = async {
        for n in 0..100 {
            assert_eq!(message(&mut pair.server_events).await.1, big(n));
        }
        down(&mut pair.server_events, pair.client_party).await
    };
    let (reason, ()) = tokio::join!(reading, pair.client.close(SOON));
    assert_eq!(reason, "closed by the peer");
}

#[tokio::test]
async fn a_slow_reader_overflows_its_queue_and_comes_back() {
    let mut pair = pair().await;
    let message = Message::Submit { line: vec![0; 1_000_000] };
    // The client's events are not read, so its windows fill and then the server's queue.
    let mut queued = 0;
    while pair.server.send(pair.client_party, &message).is_ok() {
        queued += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(queued < 1_000, "the queue is not bounded");
    }
    assert!(queued >= 64, "only {queued} MB queued");
    let reason = down(&mut pair.server_events, pair.client_party).await;
    assert_eq!(reason, "the peer reads too slowly");
    let reason = loop {
        match next(&mut pair.client_events).await {
            Event::Message(..) => {}
            Event::Down(_, reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason, "closed by the peer: the peer reads too slowly");
    up(&mut pair.server_events, pair.client_party).await;
    up(&mut pair.client_events, pair.server_party).await;
}

#[tokio::test]
async fn a_disconnected_peer_learns_why() {
    let mut pair = pair().await;
    pair.server.disconnect(pair.client_party, "wrong epoch");
    let here = down(&mut pair.server_events, pair.client_party).await;
    assert_eq!(here, "wrong epoch");
    let there = down(&mut pair.client_events, pair.server_party).await;
    assert_eq!(there, "closed by the peer: wrong epoch");
}

#[tokio::test]
async fn a_second_connection_of_a_party_replaces_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let (_server, mut events) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let first = greeted(&n, address).await;
    up(&mut events, n.party).await;
    let mut second = greeted(&n, address).await;
    let reason = down(&mut events, n.party).await;
    assert!(reason.contains("closed"), "{reason}");
    up(&mut events, n.party).await;
    let closed = first.connection.closed().await.to_string();
    assert!(closed.contains("connected again"), "{closed}");
    second.send.write_all(&[12, 0, 0, 0]).await.unwrap();
    second.send.write_all(&[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(message(&mut events).await, (n.party, follow(5)));
}

#[tokio::test]
async fn a_client_comes_back_after_an_orderly_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let (server, mut at_server) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let (client, mut events) = Hub::start(n.client(&c, address, folder.path())).unwrap();
    up(&mut at_server, n.party).await;
    up(&mut events, c.party).await;
    server.close(Duration::from_secs(5)).await;
    drop((server, at_server));
    down(&mut events, c.party).await;
    let socket = rebind(address).await;
    let (_server, mut at_server) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    up(&mut at_server, n.party).await;
    up(&mut events, c.party).await;
    client.send(c.party, &follow(3)).unwrap();
    assert_eq!(message(&mut at_server).await, (n.party, follow(3)));
}

/// The restarted server answers packets of the lost connection with a stateless reset that the client believes, long
/// before the idle timeout.
#[tokio::test]
async fn a_client_notices_a_killed_and_restarted_server_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let config = c.server(&[&n], socket, folder.path());
    let (kill, killed) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_hub, _events) = Hub::start(config).unwrap();
            let _ = killed.await;
        });
        runtime.shutdown_background();
    });
    let (client, mut events) = Hub::start(n.client(&c, address, folder.path())).unwrap();
    up(&mut events, c.party).await;
    kill.send(()).unwrap();
    tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();

    let socket = rebind(address).await;
    let (_server, mut at_server) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let restarted = Instant::now();
    client.send(c.party, &follow(0)).unwrap();
    let reason = down(&mut events, c.party).await;
    assert!(reason.contains("reset"), "{reason}");
    up(&mut events, c.party).await;
    up(&mut at_server, n.party).await;
    assert!(restarted.elapsed() < Duration::from_secs(20), "{:?}", restarted.elapsed());
}

#[tokio::test]
async fn a_city_connects_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let c = coordinator();
    let nodes: Vec<Someone> = (1..=24).map(node).collect();
    let all: Vec<&Someone> = nodes.iter().collect();
    let (server, mut at_server) = Hub::start(c.server(&all, socket, folder.path())).unwrap();
    let mut hubs = Vec::new();
    for n in &nodes {
        hubs.push(Hub::start(n.client(&c, address, folder.path())).unwrap());
    }
    for _ in &nodes {
        assert!(matches!(next(&mut at_server).await, Event::Up(_)));
    }
    let parties: Vec<Party> = nodes.iter().map(|n| n.party).collect();
    let batch = Message::Batch { owner: 1, batch: 7, sources: vec![2, 3], blinded: vec![[3; 32]; 8_192] };
    server.send_all(&parties, &batch).unwrap();
    for (_, events) in &mut hubs {
        up(events, c.party).await;
        assert_eq!(message(events).await, (c.party, batch.clone()));
    }
    for (n, (hub, _)) in nodes.iter().zip(&hubs) {
        hub.send(c.party, &follow(u64::from(n.party.member))).unwrap();
    }
    for _ in &nodes {
        let (from, got) = message(&mut at_server).await;
        assert_eq!(got, follow(u64::from(from.member)));
    }
}

#[tokio::test]
async fn contradictions_are_found_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (node(1), node(2));
    let start = |config: HubConfig| Hub::start(config).map(|_| ()).unwrap_err();
    let base = || a.alone(folder.path());

    let accept = vec![b.party];
    let unknown = start(HubConfig { accept, ..base() });
    assert!(matches!(unknown, StartError::UnknownPeer(party) if party == b.party));

    let peers = vec![b.peer(), b.peer()];
    assert!(matches!(start(HubConfig { peers, ..base() }), StartError::DuplicatePeer(_)));

    let mut other = a.peer();
    other.keys = vec![b.key];
    let peers = vec![other];
    assert!(matches!(start(HubConfig { peers, ..base() }), StartError::OtherKey));

    let identity = wugan_transport::TlsIdentity::new(a.certificate.clone(), zeroize::Zeroizing::new(b.pkcs8.clone()));
    assert!(matches!(start(HubConfig { identity, ..base() }), StartError::Identity(_)));
}

#[test]
fn debug_output_holds_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{:?}", node(1).alone(folder.path()));
    assert!(text.contains("TlsIdentity(..)"), "{text}");
}

/// The old endpoint lets go of its port shortly after it is closed.
async fn rebind(address: std::net::SocketAddr) -> std::net::UdpSocket {
    for _ in 0..500 {
        if let Ok(socket) = std::net::UdpSocket::bind(address) {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} stays in use");
}
