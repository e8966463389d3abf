//! The shape of every party's state machine: inputs go in with the time, commands come out. The same machine runs in
//! the program, where a shell carries the commands out, and in simulations.

use crate::{
    envelope::EnvelopeError,
    file::FileKey,
    hexes::Digest,
    log::note::KeyError,
    member::RestoreError,
    message::{FileReply, Message},
    party::Party,
    reason::Reason,
};

/// A party's state machine. It does no I/O, has no clock and no randomness of its own.
pub trait Engine {
    /// What the party's own surroundings tell it: jobs done, requests of its operator.
    type Local;
    /// Work that the shell gives to a thread of its own.
    type Job;

    /// Takes an input at a time (seconds since 1970 UTC) and says what to do, in order. A `Send` may rest on every
    /// `Commit` before it.
    fn handle(&mut self, input: Input<Self::Local>, now: u64) -> Vec<Command<Self::Job>>;
}

/// What happens to a party.
#[derive(Debug)]
pub enum Input<L> {
    /// The program started and its state was restored; also once a second.
    Tick,
    /// A peer is connected.
    Up(Party),
    /// A peer is gone.
    Down(Party),
    /// A peer says something.
    Message(Party, Message),
    /// A peer sent a file, which waits for `Keep` or `Refuse`.
    File(Offer),
    /// What became of a file that was sent: the receiver's answer, or none when the connection was lost.
    Sent {
        /// To whom.
        to: Party,
        /// Of which round.
        round: Digest,
        /// Which file.
        file: FileKey,
        /// The answer.
        reply: Option<FileReply>,
    },
    /// Something from the party's own surroundings.
    Local(L),
}

impl<L> Input<L> {
    /// The same input for an engine inside this one, whose surroundings tell other things.
    ///
    /// # Errors
    /// What the surroundings tell.
    pub fn inner<M>(self) -> Result<Input<M>, L> {
        Ok(match self {
            Input::Tick => Input::Tick,
            Input::Up(party) => Input::Up(party),
            Input::Down(party) => Input::Down(party),
            Input::Message(from, message) => Input::Message(from, message),
            Input::File(offer) => Input::File(offer),
            Input::Sent { to, round, file, reply } => Input::Sent { to, round, file, reply },
            Input::Local(local) => return Err(local),
        })
    }
}

/// A file that arrived and lies in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The shell's number of it.
    pub ticket: u64,
    /// Who sent it.
    pub from: Party,
    /// The announcement that came with it: canonical bytes of the sender's signed entry.
    pub line: Vec<u8>,
    /// SHA-256 of the bytes received.
    pub digest: Digest,
}

/// The shell's number of a request of the staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a party does.
#[derive(Debug)]
pub enum Command<J> {
    /// Make facts durable, all or none, before anything that follows.
    Commit(Vec<Fact>),
    /// Send a message to each peer that is connected.
    Send(Vec<Party>, Message),
    /// Send entries of the log, from this index to the end, in messages of bounded size.
    SendLog(Party, u64),
    /// Send a file that this party made.
    SendFile {
        /// To whom.
        to: Party,
        /// Of which round.
        round: Digest,
        /// Which file.
        file: FileKey,
        /// The logged announcement.
        line: Vec<u8>,
    },
    /// Give a spooled file its final name and say so to the sender.
    Keep {
        /// The offer's ticket.
        ticket: u64,
        /// Of which round.
        round: Digest,
        /// Which file.
        file: FileKey,
    },
    /// Delete a spooled file and say why to the sender.
    Refuse {
        /// The offer's ticket.
        ticket: u64,
        /// Why.
        reason: Reason,
    },
    /// Delete a kept file, which proved wrong.
    Discard {
        /// Of which round.
        round: Digest,
        /// Which file.
        file: FileKey,
    },
    /// Cut the connection to a peer that misbehaves.
    Disconnect(Party, Reason),
    /// Work for a thread.
    Local(J),
    /// Answer the staff: one JSON line, without its line feed.
    Answer(Ticket, String),
    /// Something that the operator should read in the program's log. Holds no ID number and no secret.
    Tell(Severity, String),
    /// Stop: going on would do harm.
    Stop(Stop),
    /// Begin again with what is durable: another version of the federation manifest is in force.
    Restart,
}

impl<J> Command<J> {
    /// The same command of an engine around this one, which has other jobs.
    pub fn outer<K>(self, job: impl FnOnce(J) -> K) -> Command<K> {
        match self {
            Command::Commit(facts) => Command::Commit(facts),
            Command::Send(to, message) => Command::Send(to, message),
            Command::SendLog(to, first) => Command::SendLog(to, first),
            Command::SendFile { to, round, file, line } => Command::SendFile { to, round, file, line },
            Command::Keep { ticket, round, file } => Command::Keep { ticket, round, file },
            Command::Refuse { ticket, reason } => Command::Refuse { ticket, reason },
            Command::Discard { round, file } => Command::Discard { round, file },
            Command::Disconnect(party, reason) => Command::Disconnect(party, reason),
            Command::Local(work) => Command::Local(job(work)),
            Command::Answer(ticket, line) => Command::Answer(ticket, line),
            Command::Tell(severity, text) => Command::Tell(severity, text),
            Command::Stop(stop) => Command::Stop(stop),
            Command::Restart => Command::Restart,
        }
    }
}

crate::texts! {
    /// Why going on would do harm.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum Stop {
        /// This member's own state.
        State(#[from] error: RestoreError) "{error}" "{error}";
        /// The coordinator's log.
        LogSetBack { who: String, entries: u64, held: u64 }
            "{who} has seen {entries} entries of the log, this coordinator has {held}: its log was set back; stop, and \
             put the latest copy of the state folder back"
            "{who} 已见到日志 {entries} 条，本协调方只有 {held} 条：本机日志被旧备份覆盖；请停机，并恢复最新的状态文件夹";
        /// The operator has to look at it first.
        Unconfirmed { version: u32 }
            "the log shows version {version} of the federation manifest, which is not confirmed here: compare it with the \
             authority's word, confirm it with `wugan-keys federation confirm`, and start again"
            "日志中出现联合体清单第 {version} 版，本机尚未确认：请与授权方核对后用 `wugan-keys federation confirm` 确认，再重新启动";
        /// An entry.
        Unwritten(error: EnvelopeError) "an entry cannot be written: {error}" "条目无法写成：{error}";
        /// The log's tree.
        Unsigned(error: KeyError) "the log's tree cannot be signed: {error}" "无法签署日志树：{error}";
        /// The disk, mostly.
        Machine(text: String) "{text}" "本机无法继续，请检查磁盘空间与文件夹权限后重新启动：{text}";
    }
}

/// How urgent a text for the operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Progress.
    Info,
    /// Something to look at.
    Warn,
}

/// A durable fact. Its `Debug` shows no value: seeds are among them.
#[derive(Clone, PartialEq, Eq)]
pub enum Fact {
    /// An entry of the log, at its index.
    Log(u64, Vec<u8>),
    /// An entry of this party's own, by its sequence number.
    Own(u64, Vec<u8>),
    /// A value under a name; names and values hold no ID number.
    Set(String, Vec<u8>),
    /// No value under the name any more.
    Unset(String),
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fact::Log(index, line) => write!(f, "Log({index}, {} bytes)", line.len()),
            Fact::Own(seq, line) => write!(f, "Own({seq}, {} bytes)", line.len()),
            Fact::Set(name, value) => write!(f, "Set({name}, {} bytes)", value.len()),
            Fact::Unset(name) => write!(f, "Unset({name})"),
        }
    }
}
