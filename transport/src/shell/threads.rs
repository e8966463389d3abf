//! The threads beside the runtime: one for the journal, a few for jobs.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self as blocking, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};
use wugan_protocol::engine::Fact;

use super::SharedWorker;
use crate::journal::Journal;

/// Does a party's jobs, each on some thread, several at a time.
pub trait Worker<J, L>: Send + Sync + 'static {
    /// Does one job; what it tells goes to the engine.
    fn run(&self, job: J, tell: &mut dyn FnMut(L));
}

/// Takes what is durable in the journal, and makes files of it.
pub trait LogSink: Send {
    /// Takes facts that were committed.
    ///
    /// # Errors
    /// Facts that do not follow those before.
    fn take(&mut self, facts: &[Fact]) -> io::Result<()>;

    /// Writes what was taken to files.
    ///
    /// # Errors
    /// The file system's.
    fn publish(&mut self) -> io::Result<()>;
}

/// The journal on a thread of its own. Dropped, it waits until everything is written.
pub(super) struct Database {
    requests: Option<blocking::Sender<Request>>,
    thread: Option<thread::JoinHandle<()>>,
}

enum Request {
    Commit(Vec<Fact>, oneshot::Sender<Result<(), String>>),
    LogFrom(u64, oneshot::Sender<Result<Vec<Vec<u8>>, String>>),
}

impl Database {
    pub(super) fn start(journal: Journal, log: Option<Box<dyn LogSink>>) -> io::Result<Database> {
        let (requests, receiver) = blocking::channel();
        let log = log.map(|sink| PublishedLog { sink, due: None, failed: None });
        let thread = thread::Builder::new().name("journal".into()).spawn(move || run(journal, &receiver, log))?;
        Ok(Database { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, facts: Vec<Fact>) -> Result<(), String> {
        self.ask(|done| Request::Commit(facts, done)).await
    }

    pub(super) async fn log_from(&self, first: u64) -> Result<Vec<Vec<u8>>, String> {
        self.ask(|done| Request::LogFrom(first, done)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Request) -> Result<T, String> {
        let (done, answer) = oneshot::channel();
        let gone = || "the thread of the state database ended".to_owned();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(request(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.requests = None;
        // A thread that panicked has told so.
        self.thread.take().map(|thread| thread.join().ok());
    }
}

fn run(mut journal: Journal, requests: &blocking::Receiver<Request>, mut log: Option<PublishedLog>) {
    loop {
        let request = match log.as_ref().and_then(|log| log.due) {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => requests.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        // A receiver that is gone means that the party ends; nothing is lost by not telling it.
        let ends = match request {
            Ok(Request::Commit(facts, done)) => done.send(commit(&mut journal, log.as_mut(), &facts)).is_err(),
            Ok(Request::LogFrom(first, done)) => {
                done.send(journal.log_from(first).map_err(|error| error.to_string())).is_err()
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if let Some(log) = &mut log {
            log.publish(ends);
        }
        if ends {
            return;
        }
    }
}

fn commit(journal: &mut Journal, log: Option<&mut PublishedLog>, facts: &[Fact]) -> Result<(), String> {
    journal.commit(facts).map_err(|error| error.to_string())?;
    log.map_or(Ok(()), |log| log.take(facts))
}

/// A log's files, which follow the journal within a second: an entry at a time would cost several syncs each.
struct PublishedLog {
    sink: Box<dyn LogSink>,
    due: Option<Instant>,
    /// Why files could not be written; told at the next commit.
    failed: Option<String>,
}

impl PublishedLog {
    fn take(&mut self, facts: &[Fact]) -> Result<(), String> {
        self.due.get_or_insert_with(|| Instant::now() + PUBLISH_AFTER);
        self.sink.take(facts).map_err(|error| format!("log files: {error}"))?;
        self.failed.take().map_or(Ok(()), Err)
    }

    fn publish(&mut self, at_once: bool) {
        if self.due.is_some_and(|due| at_once || due <= Instant::now()) {
            self.due = None;
            self.failed = self.sink.publish().err().map(|error| format!("log files: {error}"));
        }
    }
}

const PUBLISH_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Workers<J> {
    jobs: blocking::Sender<J>,
}

impl<J: Send + 'static> Workers<J> {
    pub(super) fn start<L: Send + 'static>(
        threads: usize,
        worker: impl Worker<J, L>,
        results: mpsc::Sender<L>,
    ) -> io::Result<Workers<J>> {
        let (jobs, receiver) = blocking::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let worker: SharedWorker<J, L> = Arc::new(worker);
        for _ in 0..threads.max(1) {
            let (receiver, worker, results) = (receiver.clone(), worker.clone(), results.clone());
            thread::Builder::new().name("worker".into()).spawn(move || work(&receiver, &worker, &results))?;
        }
        Ok(Workers { jobs })
    }

    /// Queues a job. A worker that panics ends the process.
    pub(super) fn give(&self, job: J) {
        drop(self.jobs.send(job));
    }
}

fn work<J: 'static, L: 'static>(
    jobs: &Mutex<blocking::Receiver<J>>,
    worker: &SharedWorker<J, L>,
    results: &mpsc::Sender<L>,
) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A receiver that is gone means that the party ends.
        worker.run(job, &mut |result| drop(results.blocking_send(result)));
    }
}
