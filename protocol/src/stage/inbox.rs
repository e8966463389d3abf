//! Files that arrive: offers wait for the log, accepted ones are kept, bad ones are refused in the log.

use super::{Stage, stop_text};
use crate::{
    engine::{Command, Offer, Severity, Stop},
    file::FileKey,
    hexes::{Digest, sha256},
    ledger::Round,
    manifest::Federation,
    party::Party,
    reason::Reason,
    run::RunError,
    statement::{Announcement, Statement},
};

/// Why a job on kept files has no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file is not what it should be: its sender's fault.
    Refused(FileKey, Reason),
    /// A file is not there: the program stopped before it had its name.
    Lost(FileKey),
    /// This machine's fault; the text says what to do.
    Machine(String),
}

impl Fault {
    /// The fault of reading a file that a sender may be asked for again.
    pub fn of(file: FileKey, error: RunError) -> Fault {
        match error {
            RunError::Refused(reason) => Fault::Refused(file, reason),
            RunError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => Fault::Lost(file),
            RunError::Io(error) => Fault::Machine(stop_text(&format!("{} cannot be read", file.name()), &error)),
        }
    }

    /// The fault of reading a file for which this party gave its receipt: it was in order then.
    pub fn of_receipted(file: FileKey, error: RunError) -> Fault {
        match error {
            RunError::Io(error) => Fault::Machine(stop_text(&format!("{} cannot be read", file.name()), &error)),
            RunError::Refused(reason) => Fault::Machine(format!(
                "{} changed after it was checked: {reason}; check the disk, put the file back from a copy",
                file.name()
            )),
        }
    }
}

/// An offer that waits for the log to show its announcement.
pub(super) struct Held {
    offer: Offer,
    round: Digest,
    announcement: Announcement,
    /// Hash of the announcing entry.
    entry: Digest,
    /// Until when it waits, seconds since 1970 UTC.
    until: u64,
}

enum Verdict {
    Keep,
    Wait,
    Refuse(Reason),
}

impl Stage {
    /// Answers the offers that can be answered; `wanted` says whether a party may send a file of the round now.
    pub fn answer_offers<J>(
        &mut self,
        wanted: impl Fn(&Federation, &Round, Party, FileKey) -> Result<(), Reason>,
        now: u64,
        out: &mut Vec<Command<J>>,
    ) {
        for held in std::mem::take(&mut self.held) {
            match self.judge(&held, &wanted, now) {
                Verdict::Keep => self.keep(&held, out),
                Verdict::Refuse(reason) => out.push(Command::Refuse { ticket: held.offer.ticket, reason }),
                Verdict::Wait => self.held.push(held),
            }
        }
    }

    /// Whether a file of a round was announced, arrived, and was not refused.
    pub fn kept(&self, round: Digest, file: FileKey) -> bool {
        self.facts.contains_key(&kept_name(round, file))
    }

    /// Acts on a fault of a job of a round.
    pub fn fault<J>(&mut self, round: Digest, fault: Fault, now: u64, out: &mut Vec<Command<J>>) {
        match fault {
            Fault::Machine(text) => out.push(Command::Stop(Stop::Machine(text))),
            Fault::Lost(file) => {
                let text = format!("{} is not there; it is waited for until its sender sends it again", file.name());
                out.push(Command::Commit(vec![self.unset(kept_name(round, file))]));
                out.push(Command::Tell(Severity::Warn, text));
            }
            Fault::Refused(file, reason) => self.refuse(round, file, reason, now, out),
        }
    }

    pub(super) fn offered<J>(&mut self, offer: Offer, now: u64, out: &mut Vec<Command<J>>) {
        let ticket = offer.ticket;
        match self.member.announced_file(&offer) {
            Err(reason) => out.push(Command::Refuse { ticket, reason }),
            Ok(_) if self.held.len() >= OFFERS_HELD_MAX => {
                out.push(Command::Refuse { ticket, reason: Reason::BeforeItsTime });
            }
            Ok((round, announcement)) => {
                let entry = sha256(&offer.line);
                self.held.push(Held { offer, round, announcement, entry, until: now + OFFER_HELD_SECONDS_MAX });
            }
        }
    }

    fn judge(
        &self,
        held: &Held,
        wanted: impl Fn(&Federation, &Round, Party, FileKey) -> Result<(), Reason>,
        now: u64,
    ) -> Verdict {
        let file = held.announcement.file;
        let wait = if now < held.until { Verdict::Wait } else { Verdict::Refuse(Reason::BeforeItsTime) };
        let Some(round) = self.round().filter(|round| round.hash() == held.round) else {
            // Of a round that ended nothing is waited for: its files would take the place of those that matter.
            return if self.member.ledger().has_round(held.round) { Verdict::Refuse(Reason::OtherRound) } else { wait };
        };
        // The sender did not hear that it was kept.
        if self.facts.get(&kept_name(held.round, file)).is_some_and(|entry| *entry == held.entry.0) {
            return Verdict::Keep;
        }
        if let Some((REFUSALS_MAX.., reason)) = self.refused(held.round, file) {
            return Verdict::Refuse(reason);
        }
        if let Err(reason) = wanted(self.federation(), round, held.offer.from, file) {
            return Verdict::Refuse(reason);
        }
        match round.announcement(file) {
            None => wait,
            Some(logged) if *logged == held.announcement => Verdict::Keep,
            Some(_) => Verdict::Refuse(Reason::Repeated),
        }
    }

    /// The fact comes before the file: a fact without its file is found when the file is checked, and the sender,
    /// who was not told, sends again.
    fn keep<J>(&mut self, held: &Held, out: &mut Vec<Command<J>>) {
        let (round, file, ticket) = (held.round, held.announcement.file, held.offer.ticket);
        if !self.kept(round, file) {
            out.push(Command::Commit(vec![self.set(kept_name(round, file), held.entry.0.to_vec())]));
        }
        out.push(Command::Keep { ticket, round, file });
    }

    /// The refusal comes before the fact that the file is no longer kept: a crash between them refuses again.
    fn refuse<J>(&mut self, round: Digest, file: FileKey, reason: Reason, now: u64, out: &mut Vec<Command<J>>) {
        let name = kept_name(round, file);
        let entry = self.facts.get(&name).and_then(|entry| entry.as_slice().try_into().ok());
        let (Some(entry), Some(_)) = (entry, self.round().filter(|open| open.hash() == round)) else { return };
        out.push(Command::Tell(Severity::Warn, format!("refused {}: {reason}", file.name())));
        self.state(Statement::Refusal { entry: crate::hexes::Hex(entry), reason }, now, out);
        let times = self.refused(round, file).map_or(1, |(times, _)| times.saturating_add(1));
        let [low, high] = reason.code().to_le_bytes();
        let refused = self.set(refused_name(round, file), vec![times, low, high]);
        out.push(Command::Commit(vec![self.unset(name), refused]));
        out.push(Command::Discard { round, file });
    }

    /// How often a file was refused, and why the last time.
    fn refused(&self, round: Digest, file: FileKey) -> Option<(u8, Reason)> {
        let [times, low, high] = *self.facts.get(&refused_name(round, file))?.first_chunk()?;
        Some((times, Reason::from_code(u16::from_le_bytes([low, high]))?))
    }
}

fn kept_name(round: Digest, file: FileKey) -> String {
    format!("kept/{round}/{}", file.name())
}

fn refused_name(round: Digest, file: FileKey) -> String {
    format!("refused/{round}/{}", file.name())
}

/// Offers that wait: more than every pool of a large policy that arrives before its entry.
const OFFERS_HELD_MAX: usize = 256;

/// How long an offer waits for the log before its sender is asked to come again.
const OFFER_HELD_SECONDS_MAX: u64 = 60;

/// A file that was wrong this often is not accepted any more: it will not change.
const REFUSALS_MAX: u8 = 2;
