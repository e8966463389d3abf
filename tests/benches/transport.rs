//! One file between two parties on loopback: sent, hashed, synced and renamed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::UdpSocket, path::Path, thread, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::{runtime::Runtime, sync::mpsc};
use wugan_keys::identity::Identity;
use wugan_protocol::{
    envelope::Signer,
    message::FileReply,
    party::{Party, Role},
};
use wugan_transport::{Event, Hub, HubConfig, Peer, TlsIdentity, Windows};

const BYTES: usize = 64 << 20;
const SENDER: Party = Party { member: 1, role: Role::Node };
const RECEIVER: Party = Party { member: 0, role: Role::Matcher };

/// How a party that neither listens nor dials is started.
fn config(identity: &Identity, local: Party, peers: Vec<Peer>, spool: &Path) -> HubConfig {
    let (certificate, key) = identity.tls();
    HubConfig {
        identity: TlsIdentity::new(certificate, key),
        local,
        peers,
        listen: None,
        accept: Vec::new(),
        dial: Vec::new(),
        spool: spool.join(local.role.name()),
        windows: Windows::BULK,
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Keeps every file until the peer is gone.
async fn keep(config: HubConfig) {
    let kept = config.spool.with_extension("kept");
    let (hub, mut events) = Hub::start(config).unwrap();
    loop {
        match events.recv().await.unwrap() {
            Event::File(file) => file.keep_as(&kept).await.unwrap(),
            Event::Down(..) => return hub.close(Duration::from_secs(1)).await,
            _ => {}
        }
    }
}

async fn connected(config: HubConfig) -> (Hub, mpsc::Receiver<Event>) {
    let (hub, mut events) = Hub::start(config).unwrap();
    while !matches!(events.recv().await.unwrap(), Event::Up(_)) {}
    (hub, events)
}

fn files(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::write(&source, vec![7; BYTES]).unwrap();
    let identities = [SENDER, RECEIVER].map(|party| (party, Identity::generate("bench", party.role).unwrap()));
    let peers = || {
        let peer = |(party, identity): &(Party, Identity)| Peer {
            party: *party,
            keys: vec![identity.public_key()],
            name: party.role.name().into(),
        };
        identities.iter().map(peer).collect()
    };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let [sender, receiver] = &identities;
    let listening = config(&receiver.1, RECEIVER, peers(), folder.path());
    let listening = HubConfig { listen: Some(socket), accept: vec![SENDER], ..listening };
    let dialling = config(&sender.1, SENDER, peers(), folder.path());
    let dialling = HubConfig { dial: vec![(RECEIVER, vec![address])], ..dialling };

    let thread = thread::spawn(move || runtime().block_on(keep(listening)));
    let runtime = runtime();
    let (hub, events) = runtime.block_on(connected(dialling));
    let mut group = c.benchmark_group("transport");
    group.sample_size(10).throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("a file of 64 MiB on loopback", |b| {
        b.iter(|| {
            let reply = runtime.block_on(hub.send_file(RECEIVER, Vec::new(), &source)).unwrap();
            assert_eq!(reply, FileReply::Kept);
        });
    });
    group.finish();
    runtime.block_on(hub.close(Duration::from_secs(1)));
    drop(events);
    thread.join().unwrap();
}

criterion_group!(benches, files);
criterion_main!(benches);
