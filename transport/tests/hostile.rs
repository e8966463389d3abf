//! A member that breaks the rules of the wire: its connection ends with the reason, and nothing else is harmed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use quinn::ConnectionError;
use wugan_protocol::limits::{ENTRY_BYTES_MAX, FILE_BYTES_MAX, MESSAGE_BYTES_MAX};
use wugan_transport::{Event, Hub};

#[tokio::test]
async fn an_oversized_frame() {
    let length = MESSAGE_BYTES_MAX as u32 + 1;
    on_control(&length.to_le_bytes(), "larger than the limit").await;
}

#[tokio::test]
async fn a_malformed_frame() {
    on_control(&[4, 0, 0, 0, 255, 255, 255, 255], "malformed message").await;
}

#[tokio::test]
async fn an_empty_frame() {
    on_control(&[0, 0, 0, 0], "malformed message").await;
}

#[tokio::test]
async fn a_frame_with_trailing_bytes() {
    let frame = [13, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9];
    on_control(&frame, "1 bytes follow").await;
}

#[tokio::test]
async fn a_frame_that_breaks_off() {
    on_control(&[12, 0, 0, 0, 0, 0], "frame broken off").await;
}

#[tokio::test]
async fn a_file_longer_than_declared() {
    on_a_file(&file(b"line", 3, b"four"), "file longer than declared").await;
}

#[tokio::test]
async fn a_file_shorter_than_declared() {
    on_a_file(&file(b"line", 5, b"four"), "file shorter than declared").await;
}

#[tokio::test]
async fn a_file_above_the_limit() {
    on_a_file(&file(b"line", FILE_BYTES_MAX + 1, b""), "file larger than the limit").await;
}

#[tokio::test]
async fn an_announcement_above_the_limit() {
    let line = vec![0; ENTRY_BYTES_MAX + 1];
    on_a_file(&file(&line, 0, b""), "announcement longer than a log entry").await;
}

#[tokio::test]
async fn a_file_given_up_is_neither_delivered_nor_punished() {
    let mut scene = Scene::new().await;
    let (mut send, mut receive) = scene.raw.connection.open_bi().await.unwrap();
    send.write_all(&file(b"line", 1 << 20, &[1; 100_000])).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    send.reset(18u32.into()).unwrap();
    assert!(receive.read_to_end(16).await.is_err());
    nothing(&mut scene.events).await;
    assert_eq!(left_overs(scene.folder.path()).await, 0);
}

#[tokio::test]
async fn a_killed_sender_leaves_no_file() {
    let mut scene = Scene::new().await;
    let (mut send, _receive) = scene.raw.connection.open_bi().await.unwrap();
    send.write_all(&file(b"line", 1 << 20, &[1; 700_000])).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    scene.raw.endpoint.close(0u32.into(), b"");
    down(&mut scene.events, scene.who.party).await;
    assert_eq!(left_overs(scene.folder.path()).await, 0);
}

/// Space is promised when a file begins: files that fit one by one, but not together, are refused before they come.
#[tokio::test]
async fn files_that_do_not_fit_are_refused_at_once() {
    let scene = Scene::new().await;
    let stat = rustix::fs::statvfs(scene.folder.path()).unwrap();
    let room = stat.f_bavail * stat.f_frsize - (64 << 20);
    let fit = (room / FILE_BYTES_MAX).min(4) as usize;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..4 {
        let (mut send, receive) = scene.raw.connection.open_bi().await.unwrap();
        send.write_all(&file(b"line", FILE_BYTES_MAX, b"")).await.unwrap();
        if let Ok(stopped) = tokio::time::timeout(A_WHILE, send.stopped()).await {
            assert_eq!(stopped.unwrap(), Some(16u32.into()));
            refused += 1;
        }
        open.push((send, receive));
    }
    assert_eq!(refused, 4 - fit);
}

#[tokio::test]
async fn only_four_files_at_once_and_no_other_streams() {
    let scene = Scene::new().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(scene.raw.connection.open_bi().await.unwrap());
    }
    let fifth = tokio::time::timeout(A_WHILE, scene.raw.connection.open_bi()).await;
    assert!(fifth.is_err(), "a fifth stream was granted");
    let other = tokio::time::timeout(A_WHILE, scene.raw.connection.open_uni()).await;
    assert!(other.is_err(), "a unidirectional stream was granted");
    assert!(scene.raw.connection.max_datagram_size().is_none());
}

#[tokio::test]
async fn a_wrong_greeting() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, address) = loopback();
    let (c, n) = (coordinator(), node(1));
    let (_server, mut events) = Hub::start(c.server(&[&n], socket, folder.path())).unwrap();
    let (_endpoint, connection) = raw_client(Some(n.certified()), b"wugan/1", address).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(b"wugan/2\n").await.unwrap();
    assert!(closed_because(connection.closed().await).contains("greeting"));
    nothing(&mut events).await;
}

/// A server and a member that is connected raw.
struct Scene {
    _server: Hub,
    events: tokio::sync::mpsc::Receiver<Event>,
    who: Someone,
    raw: Raw,
    at: std::net::SocketAddr,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, at) = loopback();
        let (c, who) = (coordinator(), node(1));
        let config = c.server(&[&who], socket, folder.path());
        let (server, mut events) = Hub::start(config).unwrap();
        let raw = greeted(&who, at).await;
        up(&mut events, who.party).await;
        Self { _server: server, events, who, raw, at, folder }
    }

    /// The connection ends for this reason, on both sides, and the next one works.
    async fn ends_because(mut self, reason: &str) {
        let here = down(&mut self.events, self.who.party).await;
        assert!(here.contains(reason), "{here}");
        let there = closed_because(self.raw.connection.closed().await);
        assert!(there.contains(reason), "{there}");
        assert_eq!(left_overs(self.folder.path()).await, 0);

        let mut again = greeted(&self.who, self.at).await;
        up(&mut self.events, self.who.party).await;
        again.send.write_all(&[12, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        assert_eq!(message(&mut self.events).await, (self.who.party, follow(7)));
    }
}

async fn on_control(bytes: &[u8], reason: &str) {
    let mut scene = Scene::new().await;
    scene.raw.send.write_all(bytes).await.unwrap();
    let _ = scene.raw.send.finish();
    scene.ends_because(reason).await;
}

async fn on_a_file(bytes: &[u8], reason: &str) {
    let scene = Scene::new().await;
    let (mut send, _receive) = scene.raw.connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    let _ = send.finish();
    scene.ends_because(reason).await;
}

fn file(line: &[u8], declared: u64, contents: &[u8]) -> Vec<u8> {
    let length = line.len() as u32;
    [&length.to_le_bytes()[..], line, &declared.to_le_bytes(), contents].concat()
}

fn closed_because(error: ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code, 2u32.into());
            String::from_utf8(close.reason.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}
