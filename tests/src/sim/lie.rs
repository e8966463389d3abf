//! Members with valid identities that lie: their engines are the programs' own, what these are told is bent.

use std::{collections::VecDeque, fs, io, ops::Range};

use wugan_coordinator::Local;
use wugan_node::work::Done as node;
use wugan_protocol::{
    file::FileKey,
    hexes::{Digest, sha256},
    message::Message,
    oprf::Element,
    party::{Party, Role},
};
use wugan_transport::rounds::{Made, Rounds};

use super::actor::{Act, Delivery};

/// A member that lies in one of its roles.
#[derive(Clone, Debug)]
pub struct Liar {
    /// Its id.
    pub id: String,
    /// Its role.
    pub role: Role,
    /// How it lies.
    pub lie: Lie,
}

/// A way to lie.
#[derive(Clone, Debug)]
pub enum Lie {
    /// Files have other bytes than they should, and are announced as they are.
    Bytes(Which, Change),
    /// Files get other bytes after they were announced.
    Afterwards(Which, Change),
    /// Files are announced with another count.
    Count(Which),
    /// Batches are answered with elements in another order.
    Answers,
    /// Batches that come in these seconds (since 1970 UTC) are not heard.
    Deaf(Range<u64>),
    /// One of these messages goes to the coordinator each time that it is connected, besides the honest ones.
    Messages(Vec<Message>),
}

/// Which files a liar changes.
pub type Which = fn(FileKey) -> bool;

/// What a liar does to a file's bytes.
pub type Change = fn(&mut Vec<u8>);

/// What a job says, as far as it can be bent.
pub(super) trait Tells {
    /// Files that were made.
    fn made(&mut self) -> Option<(Digest, &mut [Made])> {
        None
    }

    /// Evaluated elements.
    fn evaluated(&mut self) -> Option<&mut [Element]> {
        None
    }
}

impl Lie {
    /// Bends what a job of the liar says.
    pub(super) fn bend<L: Tells>(&self, said: &mut L, rounds: &Rounds) -> io::Result<()> {
        match self {
            Lie::Answers => said.evaluated().into_iter().for_each(<[Element]>::reverse),
            Lie::Messages(_) | Lie::Deaf(_) => {}
            Lie::Bytes(..) | Lie::Afterwards(..) | Lie::Count(_) => {
                let Some((round, made)) = said.made() else { return Ok(()) };
                made.iter_mut().try_for_each(|made| self.bend_file(round, made, rounds))?;
            }
        }
        Ok(())
    }

    fn bend_file(&self, round: Digest, made: &mut Made, rounds: &Rounds) -> io::Result<()> {
        let rewrite = |change: &Change| {
            let path = rounds.path(round, made.file);
            let mut bytes = fs::read(&path)?;
            change(&mut bytes);
            fs::write(path, &bytes).map(|()| sha256(&bytes))
        };
        match self {
            Lie::Bytes(which, change) if which(made.file) => made.digest = rewrite(change)?,
            Lie::Afterwards(which, change) if which(made.file) => drop(rewrite(change)?),
            Lie::Count(which) if which(made.file) => made.count += 256,
            _ => {}
        }
        Ok(())
    }
}

/// A party that says what it should not, or does not hear what it should.
pub(super) struct Talker {
    pub(super) honest: Box<dyn Act>,
    pub(super) coordinator: Party,
    pub(super) messages: VecDeque<Message>,
    pub(super) deaf: Range<u64>,
}

impl Act for Talker {
    fn take(&mut self, from: Party, delivery: Delivery, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>> {
        if matches!(delivery, Delivery::Message(Message::Batch { .. })) && self.deaf.contains(&now) {
            return Ok(Vec::new());
        }
        let connected = from == self.coordinator && matches!(delivery, Delivery::Up);
        let mut out = self.honest.take(from, delivery, now)?;
        let message = if connected { self.messages.pop_front() } else { None };
        out.extend(message.map(|message| (from, Delivery::Message(message))));
        Ok(out)
    }

    fn work(&mut self, choice: u64, now: u64) -> anyhow::Result<Option<Vec<(Party, Delivery)>>> {
        self.honest.work(choice, now)
    }

    fn falter(&mut self) {
        self.honest.falter();
    }

    fn restart(&mut self, done: usize) -> anyhow::Result<Vec<(Party, Delivery)>> {
        self.honest.restart(done)
    }

    fn log(&self) -> Vec<Vec<u8>> {
        self.honest.log()
    }

    fn facts(&self) -> Vec<(String, Vec<u8>)> {
        self.honest.facts()
    }

    fn answer(&mut self) -> Option<String> {
        self.honest.answer()
    }
}

impl Tells for wugan_node::engine::Local {
    fn made(&mut self) -> Option<(Digest, &mut [Made])> {
        match self {
            Self::Done(node::Pools { round, made } | node::Rows { round, made, .. }) => Some((*round, made)),
            _ => None,
        }
    }

    fn evaluated(&mut self) -> Option<&mut [Element]> {
        match self {
            Self::Done(node::Evaluated(answer)) => Some(&mut answer.evaluated),
            _ => None,
        }
    }
}

impl Tells for wugan_aggregator::Local {
    fn made(&mut self) -> Option<(Digest, &mut [Made])> {
        match self {
            Self::Server(done) => done.made(),
            Self::Disclosed(_) => None,
        }
    }
}

impl<K> Tells for wugan_transport::server::Done<K> {
    fn made(&mut self) -> Option<(Digest, &mut [Made])> {
        match &mut self.result {
            Ok(made) if self.task.is_some() => Some((self.round, made)),
            _ => None,
        }
    }
}

impl Tells for Local {}
