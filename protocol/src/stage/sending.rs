//! Files of its own: sent until their receiver keeps them.

use super::Stage;
use crate::{
    engine::{Command, Severity},
    file::FileKey,
    hexes::{Digest, sha256},
    ledger::{Logged, Round},
    message::FileReply,
    party::Party,
    reason::Reason,
    statement::Statement,
};

/// Where a file that must be sent stands.
pub(super) struct Sending {
    to: Party,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    UnderWay,
    /// Again from this time on, seconds since 1970 UTC.
    Again(u64),
    Kept,
    /// The receiver will not take it; the operator was told.
    Refused,
}

impl Stage {
    /// Sends a file whose announcement the log shows, unless its receiver has it, gets it, or is not connected.
    pub fn send<J>(&mut self, to: Party, file: FileKey, now: u64, out: &mut Vec<Command<J>>) {
        let logged = self.member.round().filter(|round| round.announcement(file).is_some());
        let Some(round) = logged.map(Round::hash).filter(|_| self.connected.contains(&to)) else { return };
        let Some(line) = self.member.announced(round, file).cloned() else { return };
        let due = self.sending.get(&(round, file)).is_none_or(|sending| match sending.state {
            State::Again(from) => from <= now,
            _ => false,
        });
        if due {
            self.sending.insert((round, file), Sending { to, state: State::UnderWay });
            out.push(Command::SendFile { to, round, file, line });
        }
    }

    pub(super) fn sent<J>(
        &mut self,
        round: Digest,
        file: FileKey,
        reply: Option<FileReply>,
        now: u64,
        out: &mut Vec<Command<J>>,
    ) {
        let Some(sending) = self.sending.get_mut(&(round, file)) else { return };
        sending.state = match reply {
            None => State::Again(now + 1),
            Some(FileReply::Kept) => State::Kept,
            Some(FileReply::Refused(code)) => {
                let reason = Reason::from_code(code);
                let why = reason.map_or_else(|| format!("code {code}"), |reason| reason.to_string());
                let text = format!("{} was not taken by its receiver: {why}", file.name());
                out.push(Command::Tell(Severity::Warn, text));
                match reason {
                    Some(Reason::BeforeItsTime | Reason::NoSpace) => State::Again(now + AGAIN_SECONDS),
                    _ => State::Refused,
                }
            }
        };
    }

    /// A receiver that kept a file and then found it wrong asks for it again by refusing it in the log.
    pub(super) fn send_again_if_refused(&mut self, logged: &Logged) {
        let Statement::Refusal { entry, .. } = logged.signed.body().statement else { return };
        let member = &self.member;
        self.sending.retain(|(round, file), sending| {
            let ours = || member.announced(*round, *file).is_some_and(|line| sha256(line) == entry);
            !(sending.state == State::Kept && logged.party == Some(sending.to) && ours())
        });
    }
}

/// How long to wait before a file that came too early is sent again.
const AGAIN_SECONDS: u64 = 10;
