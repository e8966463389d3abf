//! Files between well-behaved parties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, time::Duration};

use common::*;
use ring::digest::{SHA256, digest};
use tokio::sync::mpsc;
use wugan_protocol::{limits::ENTRY_BYTES_MAX, message::FileReply};
use wugan_transport::{Event, IncomingFile, SendFileError};

#[tokio::test]
async fn files_of_every_size_arrive_whole() {
    let mut pair = pair().await;
    for bytes in [0, 1, 512 << 10, (512 << 10) + 1, 10_000_000] {
        let contents = contents(bytes);
        let source = pair.folder.path().join("source");
        fs::write(&source, &contents).unwrap();
        let kept = pair.folder.path().join("kept");
        let sending = pair.client.send_file(pair.server_party, b"line".to_vec(), &source);
        let receiving = async {
            let file = file(&mut pair.server_events).await;
            assert_eq!(file.from, pair.client_party);
            assert_eq!(file.line, b"line");
            assert_eq!(file.bytes, bytes as u64);
            assert_eq!(file.sha256[..], *digest(&SHA256, &contents).as_ref());
            assert_eq!(fs::read(file.path()).unwrap(), contents);
            file.keep_as(&kept).await.unwrap();
        };
        let (reply, ()) = tokio::join!(sending, receiving);
        assert_eq!(reply.unwrap(), FileReply::Kept);
        assert_eq!(fs::read(&kept).unwrap(), contents);
    }
    assert_eq!(left_overs(pair.folder.path()).await, 0);
}

#[tokio::test]
async fn the_accepting_side_sends_files_too() {
    let mut pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, b"decisions").unwrap();
    let line = vec![7; ENTRY_BYTES_MAX];
    let sending = pair.server.send_file(pair.client_party, line.clone(), &source);
    let receiving = async {
        let file = file(&mut pair.client_events).await;
        assert_eq!((file.from, &file.line), (pair.server_party, &line));
        file.refuse(12);
    };
    let (reply, ()) = tokio::join!(sending, receiving);
    assert_eq!(reply.unwrap(), FileReply::Refused(12));
    assert_eq!(left_overs(pair.folder.path()).await, 0);
}

#[tokio::test]
async fn a_dropped_file_is_lost_to_its_sender() {
    let mut pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, b"pool").unwrap();
    let sending = pair.client.send_file(pair.server_party, vec![], &source);
    let receiving = async { drop(file(&mut pair.server_events).await) };
    let (reply, ()) = tokio::join!(sending, receiving);
    assert!(matches!(reply, Err(SendFileError::Lost(_))), "{reply:?}");
    assert_eq!(left_overs(pair.folder.path()).await, 0);
}

#[tokio::test]
async fn a_target_that_cannot_be_written_is_no_kept_file() {
    let mut pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, b"pool").unwrap();
    let sending = pair.client.send_file(pair.server_party, vec![], &source);
    let target = pair.folder.path().join("nowhere/kept");
    let receiving = async { file(&mut pair.server_events).await.keep_as(target).await };
    let (reply, kept) = tokio::join!(sending, receiving);
    assert!(kept.is_err());
    assert!(matches!(reply, Err(SendFileError::Lost(_))), "{reply:?}");
    assert_eq!(left_overs(pair.folder.path()).await, 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_at_once() {
    let pair = pair().await;
    let missing = pair.folder.path().join("missing");
    let sent = pair.client.send_file(pair.server_party, vec![], &missing).await;
    assert!(sent.unwrap_err().to_string().contains("missing"));
    let line = vec![0; ENTRY_BYTES_MAX + 1];
    let sent = pair.client.send_file(pair.server_party, line, &missing).await;
    assert!(matches!(sent, Err(SendFileError::LineTooLong { .. })));
}

#[tokio::test]
async fn a_receiver_that_cannot_store_says_so() {
    let pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, contents(3_000_000)).unwrap();
    fs::remove_dir(pair.folder.path().join("spool-0-coordinator")).unwrap();
    let sent = pair.client.send_file(pair.server_party, vec![], &source).await;
    assert!(matches!(sent, Err(SendFileError::Storage)), "{sent:?}");
}

#[tokio::test]
async fn a_cancelled_file_frees_its_stream() {
    let mut pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, contents(5_000_000)).unwrap();
    for _ in 0..10 {
        let sending = pair.client.send_file(pair.server_party, vec![], &source);
        let _ = tokio::time::timeout(Duration::from_millis(5), sending).await;
    }
    fs::write(&source, b"last").unwrap();
    let sending = pair.client.send_file(pair.server_party, b"last".to_vec(), &source);
    let receiving = async {
        loop {
            // A file that was sent in time and cancelled afterwards may arrive as well.
            let file = file(&mut pair.server_events).await;
            let last = file.line == b"last";
            file.refuse(1);
            if last {
                return;
            }
        }
    };
    let (reply, ()) = tokio::join!(sending, receiving);
    assert_eq!(reply.unwrap(), FileReply::Refused(1));
    assert_eq!(left_overs(pair.folder.path()).await, 0);
}

#[tokio::test]
async fn messages_pass_while_files_are_under_way() {
    let mut pair = pair().await;
    let source = pair.folder.path().join("source");
    fs::write(&source, contents(30_000_000)).unwrap();
    let files = async {
        let send = || pair.client.send_file(pair.server_party, vec![], &source);
        let (a, b, c, d, e) = tokio::join!(send(), send(), send(), send(), send());
        for reply in [a, b, c, d, e] {
            assert_eq!(reply.unwrap(), FileReply::Refused(1));
        }
    };
    let messages = async {
        for n in 0..50 {
            pair.client.send(pair.server_party, &follow(n)).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let reading = async {
        let (mut files, mut messages) = (0, 0);
        while files < 5 || messages < 50 {
            match next(&mut pair.server_events).await {
                Event::File(file) => {
                    file.refuse(1);
                    files += 1;
                }
                Event::Message(_, message) => {
                    assert_eq!(message, follow(messages));
                    messages += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(files, messages, reading);
}

async fn file(events: &mut mpsc::Receiver<Event>) -> IncomingFile {
    match next(events).await {
        Event::File(file) => file,
        other => panic!("expected a file, got {other:?}"),
    }
}

/// Not all alike, so that chunks out of order would be noticed.
fn contents(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
