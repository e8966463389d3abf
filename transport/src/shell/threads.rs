//! The threads beside the runtime: one for the journal, a few for jobs.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
    thread,
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

/// Takes entries of the log, with the index of the first, once they are durable in the journal.
pub type LogSink = Box<dyn FnMut(u64, &[&[u8]]) -> io::Result<()> + Send>;

pub(super) struct Database {
    requests: blocking::Sender<Request>,
}

enum Request {
    Commit(Vec<Fact>, oneshot::Sender<Result<(), String>>),
    LogFrom(u64, oneshot::Sender<Result<Vec<Vec<u8>>, String>>),
}

impl Database {
    pub(super) fn start(mut journal: Journal, mut log: Option<LogSink>) -> io::Result<Database> {
        let (requests, receiver) = blocking::channel();
        thread::Builder::new().name("journal".into()).spawn(move || {
            for request in receiver {
                // A receiver that is gone means that the party ends; nothing is lost by not telling it.
                match request {
                    Request::Commit(facts, done) => drop(done.send(commit(&mut journal, log.as_mut(), &facts))),
                    Request::LogFrom(first, done) => {
                        drop(done.send(journal.log_from(first).map_err(|error| error.to_string())));
                    }
                }
            }
        })?;
        Ok(Database { requests })
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
        self.requests.send(request(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn commit(journal: &mut Journal, log: Option<&mut LogSink>, facts: &[Fact]) -> Result<(), String> {
    journal.commit(facts).map_err(|error| error.to_string())?;
    let lines = facts.iter().filter_map(|fact| match fact {
        Fact::Log(index, line) => Some((*index, line.as_slice())),
        _ => None,
    });
    let (indices, lines): (Vec<u64>, Vec<&[u8]>) = lines.unzip();
    match (log, indices.first()) {
        (Some(log), Some(first)) => log(*first, &lines).map_err(|error| format!("log file: {error}")),
        _ => Ok(()),
    }
}

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
