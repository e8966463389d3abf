//! Disclosure at a node: its department's own requests, from the staff's question to the answer in the folder, and approvals
//! of requests of others. What is open is found by comparing the log with the openings that are kept.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    codec,
    disclosure::{DisclosureReason, Opening},
    engine::{Command, Fact, Severity, Ticket},
    hexes::{Digest, Hex},
    ledger::{Disclosed, Ledger},
    message::{DisclosureReply, Message},
    month::Month,
    person::PersonId,
    reason::Reason,
    statement::{DisclosureRequest, Statement},
};

use super::{Commands, NodeEngine, fact, facts_under};
use crate::{
    admin::{Private, Refusal, Request, Response},
    work::{FindRow, FoundRow, Job, WriteDisclosure},
};

/// Own requests.
#[derive(Default)]
pub(super) struct Disclosing {
    /// What opens the rows of own requests: round and digest, opening, and when it was asked.
    openings: BTreeMap<(Digest, Digest), (Opening, u64)>,
    /// Digests of rows whose answers are written down.
    written: BTreeSet<Digest>,
    /// What the staff asked for, while its row is looked up.
    looking: Option<Looking>,
    /// Requests whose answer a thread writes down.
    writing: BTreeSet<Digest>,
    /// Not before this time is the aggregator asked again.
    ask_from: BTreeMap<Digest, u64>,
}

struct Looking {
    round: Digest,
    month: Month,
    matter: u16,
    reason: DisclosureReason,
}

impl Disclosing {
    pub(super) fn restore(facts: &BTreeMap<String, Vec<u8>>) -> Disclosing {
        let named = |name: &str| name.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let openings = facts_under(facts, OPENING)
            .filter_map(|(name, value)| Some((named(name)?, codec::decode::<(Opening, u64)>(value).ok()?)));
        let written = facts_under(facts, WRITTEN).filter_map(|(name, _)| named(name)).map(|(_, row)| row);
        Disclosing { openings: openings.collect(), written: written.collect(), ..Disclosing::default() }
    }

    /// Whether the answer to the own request about a row is written down.
    pub(super) fn has_written(&self, row: Digest) -> bool {
        self.written.contains(&row)
    }

    /// The names of the facts that go with a round.
    pub(super) fn forget(&mut self, round: Digest) -> Vec<String> {
        let of_round = self.openings.keys().filter(|(of, _)| *of == round).map(|(_, row)| *row);
        let rows: Vec<Digest> = of_round.collect();
        self.openings.retain(|(of, _), _| *of != round);
        rows.iter().flat_map(|row| [OPENING, WRITTEN].map(|prefix| format!("{prefix}/{round}/{row}"))).collect()
    }

    /// The aggregator is gone: it has forgotten what it was asked.
    pub(super) fn down(&mut self) {
        self.ask_from.clear();
    }

    /// Own requests of a calendar month that the log does not show.
    fn under_way(&self, ledger: &Ledger, month: Month) -> usize {
        let open = self.openings.iter().filter(|((_, row), (_, time))| {
            Month::of_time(*time) == Some(month) && !ledger.requests().any(|(_, asked)| asked.statement.row == *row)
        });
        open.count()
    }
}

impl NodeEngine {
    /// The staff asks for something.
    pub(super) fn admin(&mut self, ticket: Ticket, request: Request, now: u64) -> Commands {
        let answered = match request {
            Request::Requests {} => Ok((Commands::new(), Response::Requests { requests: self.listed() })),
            Request::Approve { request } => {
                self.approve(request, now).map(|commands| (commands, Response::Approved { request }))
            }
            Request::Disclose { month, person, matter, reason, note } => {
                match self.look_up(ticket, (month, &matter, reason), &person, note, now) {
                    Ok(job) => return vec![Command::Local(job)],
                    Err(refusal) => Err(refusal),
                }
            }
        };
        let (mut commands, response) =
            answered.unwrap_or_else(|refusal| (Commands::new(), Response::Refused { refusal }));
        commands.push(Command::Answer(ticket, response.line()));
        commands
    }

    /// Finds out whether there is something to ask about; the row is looked up by a thread.
    fn look_up(
        &mut self,
        ticket: Ticket,
        (month, matter, reason): (Month, &str, DisclosureReason),
        person: &Private,
        note: Private,
        now: u64,
    ) -> Result<Job, Refusal> {
        if !self.owner {
            return Err(Refusal::NotAnOwner {});
        }
        let round = self.round_to_ask(month);
        let past = round.as_ref().ok().and_then(|round| self.member.ledger().past_round(*round));
        let policy = past.map_or(self.member.federation().policy(), |past| &past.policy).clone();
        let own: Vec<_> = policy.matters_of(self.me()).collect();
        let other = || Refusal::OtherMatter { own: own.iter().map(|matter| matter.id.clone()).collect() };
        let place = own.iter().position(|of| of.id == matter).ok_or_else(other)?;
        let (number, round) = (own[place].number, round?);
        let (person, _) = PersonId::parse(&person.0).map_err(|_| Refusal::NotAPerson {})?;
        if note.0.trim().is_empty() || note.0.len() > NOTE_BYTES_MAX {
            return Err(Refusal::Note { bytes_max: NOTE_BYTES_MAX as u64 });
        }
        self.check_limit(now)?;
        if self.disclosing.looking.is_some() {
            return Err(Refusal::Busy {});
        }
        self.disclosing.looking = Some(Looking { round, month, matter: number, reason });
        let asked = self.asked_rows(round);
        Ok(Job::FindRow(
            ticket,
            Box::new(FindRow { policy: policy.clone(), round, person, place: place as u16, asked, note }),
        ))
    }

    /// The closed round of a month whose files are kept.
    fn round_to_ask(&self, month: Month) -> Result<Digest, Refusal> {
        let ledger = self.member.ledger();
        if ledger.open_round().is_some_and(|open| open.manifest().month == month) {
            return Err(Refusal::RoundOpen {});
        }
        let round = ledger.round_of_month(month).ok_or(Refusal::NoRound {})?;
        if ledger.is_deleted(round) || !self.preparation.keeps(round) {
            return Err(Refusal::RetentionOver {});
        }
        let past = ledger.past_round(round).filter(|past| past.owners.contains(&self.me()));
        past.filter(|_| self.preparation.has_decisions(round)).ok_or(Refusal::NoDecisions {})?;
        Ok(round)
    }

    /// Requests that this department may make in the calendar month, and those that it has made.
    fn used(&self, month: Month) -> (u64, u64) {
        let ledger = self.member.ledger();
        let most = ledger.federation().manifest().disclosures_per_month;
        let made = ledger.requests_in(self.me(), month) + self.disclosing.under_way(ledger, month);
        (most.into(), made as u64)
    }

    fn check_limit(&self, now: u64) -> Result<(), Refusal> {
        let month = Month::of_time(now).ok_or(Refusal::Rule { reason: Reason::ClockDiffers })?;
        let (most, made) = self.used(month);
        if made < most { Ok(()) } else { Err(Refusal::Limit { most, month }) }
    }

    /// The row is found: the request is stated, and what opens it is as durable.
    pub(super) fn row_found(&mut self, ticket: Ticket, found: Result<FoundRow, Refusal>, now: u64) -> Commands {
        let Some(looking) = self.disclosing.looking.take() else { return Commands::new() };
        let (round, month) = (looking.round, looking.month);
        let asked = found.and_then(|found| self.request(looking, found, now));
        let (mut commands, response) = match asked {
            Err(refusal) => (Commands::new(), Response::Refused { refusal }),
            Ok((request, fact)) => {
                let left = Month::of_time(now).map_or(0, |month| {
                    let (most, made) = self.used(month);
                    most.saturating_sub(made)
                });
                let commands = self.member.state_with(round, Statement::DisclosureRequest(request), vec![fact], now);
                let request = self.member.last().unwrap_or(Hex([0; 32]));
                (commands, Response::Asked { request, month, left })
            }
        };
        commands.push(Command::Answer(ticket, response.line()));
        commands
    }

    /// Rows of a round about which a request is under way, open or answered.
    fn asked_rows(&self, round: Digest) -> Vec<u32> {
        let ledger = self.member.ledger();
        let refused = |row: Digest| {
            let mut of_row = ledger.requests().filter(|(_, asked)| asked.statement.row == row);
            of_row.any(|(_, asked)| matches!(asked.outcome, Some(Disclosed::Refused(_))))
        };
        let of_round = self.disclosing.openings.iter().filter(|((of, row), _)| *of == round && !refused(*row));
        of_round.map(|(_, (opening, _))| opening.row).collect()
    }

    fn request(&mut self, looking: Looking, found: FoundRow, now: u64) -> Result<(DisclosureRequest, Fact), Refusal> {
        let Looking { round, matter, reason, .. } = looking;
        let FoundRow { opening, class, note } = found;
        let row = opening.digest(round);
        let request = DisclosureRequest { matter, class, row, reason, note };
        let allowed = self.member.ledger().may_request(self.me(), round, &request, now);
        allowed.map_err(|reason| Refusal::Rule { reason })?;
        let value = codec::encode(&(&opening, now)).unwrap_or_default();
        self.disclosing.openings.insert((round, row), (opening, now));
        Ok((request, Fact::Set(format!("{OPENING}/{round}/{row}"), value)))
    }

    /// Asks the aggregator about own requests that are approved and not answered.
    pub(super) fn ask_aggregator(&mut self, now: u64) -> Commands {
        let aggregator = self.member.federation().aggregator();
        if !self.files.is_up(aggregator) {
            return Commands::new();
        }
        let mut commands = Commands::new();
        let ledger = self.member.ledger();
        for (request, asked) in ledger.requests().filter(|(_, asked)| asked.owner == self.member.party().member) {
            let row = asked.statement.row;
            let refused = matches!(asked.outcome, Some(Disclosed::Refused(_)));
            let done = self.disclosing.written.contains(&row) || self.disclosing.writing.contains(&request);
            let waits = self.disclosing.ask_from.get(&request).is_some_and(|from| now < *from);
            let opening = self.disclosing.openings.get(&(asked.round, row)).filter(|_| asked.approved());
            let Some((opening, _)) = opening.filter(|_| !refused && !done && !waits) else { continue };
            let question = Message::Question { request: request.0, opening: opening.clone() };
            self.disclosing.ask_from.insert(request, now + AGAIN_SECONDS);
            commands.push(Command::Send(vec![aggregator], question));
        }
        commands
    }

    /// The aggregator replies to a question. An answer counts only as the log shows it.
    pub(super) fn disclosed(&mut self, request: Digest, reply: DisclosureReply, now: u64) -> Commands {
        let ledger = self.member.ledger();
        let Some(asked) = ledger.request(request) else { return Commands::new() };
        let opening = self.disclosing.openings.get(&(asked.round, asked.statement.row));
        let (Some((opening, _)), Some(past)) = (opening, ledger.past_round(asked.round)) else {
            return Commands::new();
        };
        let answer = match reply {
            DisclosureReply::Told(answer) => answer,
            DisclosureReply::Refused(code) => return self.not_told(request, code, now),
        };
        let Some(Disclosed::Answered { answer: logged, .. }) = asked.outcome else {
            // This copy of the log is behind the aggregator's.
            self.disclosing.ask_from.insert(request, now + SOON_SECONDS);
            return Commands::new();
        };
        if logged != answer.digest(request) {
            return self.not_told(request, Reason::DigestDiffers.code(), now);
        }
        let told = WriteDisclosure {
            request,
            round: asked.round,
            month: past.month,
            policy: past.policy.clone(),
            matters: past.policy.matter_rounds(asked.owner, &past.list),
            class: asked.statement.class,
            row: opening.row,
            handles: answer.handles,
        };
        let new = !self.disclosing.written.contains(&asked.statement.row) && self.disclosing.writing.insert(request);
        new.then(|| Command::Local(Job::WriteDisclosure(Box::new(told)))).into_iter().collect()
    }

    fn not_told(&mut self, request: Digest, code: u16, now: u64) -> Commands {
        let reason = Reason::from_code(code);
        if reason == Some(Reason::BeforeItsTime) {
            self.disclosing.ask_from.insert(request, now + SOON_SECONDS);
            return Commands::new();
        }
        self.disclosing.ask_from.insert(request, now + REFUSED_SECONDS);
        let reason = reason.map_or_else(|| format!("reason {code}"), |reason| reason.to_string());
        vec![Command::Tell(Severity::Warn, format!("the aggregator does not answer request {request}: {reason}"))]
    }

    /// An answer is written down.
    pub(super) fn written(&mut self, request: Digest, path: &str) -> Commands {
        let text = format!("the answer to request {request} for disclosure is in {path}");
        let mut commands = vec![Command::Tell(Severity::Info, text)];
        commands.extend(self.settle(request));
        commands
    }

    /// What was told is not of the row that was asked about.
    pub(super) fn not_written(&mut self, request: Digest, reason: Reason, now: u64) -> Commands {
        let text = format!("the answer to request {request} for disclosure cannot be used: {reason}");
        let mut commands = vec![Command::Tell(Severity::Warn, text)];
        commands.extend(self.settle(request));
        let outcome = self.member.ledger().request(request).and_then(|asked| asked.outcome);
        if let Some(Disclosed::Answered { entry, .. }) = outcome {
            commands.extend(self.member.state(Statement::Refusal { entry, reason }, false, now));
        }
        commands
    }

    /// The aggregator need not be asked any more.
    fn settle(&mut self, request: Digest) -> Option<Command<Job>> {
        self.disclosing.writing.remove(&request);
        let asked = self.member.ledger().request(request)?;
        let (round, row) = (asked.round, asked.statement.row);
        // The round may have been deleted meanwhile, and its facts with it.
        self.disclosing.openings.get(&(round, row))?;
        self.disclosing.written.insert(row);
        Some(fact(format!("{WRITTEN}/{round}/{row}"), Vec::new()))
    }
}

const OPENING: &str = "opening";
const WRITTEN: &str = "disclosure";
/// Bytes of a note: a page.
const NOTE_BYTES_MAX: usize = 16 << 10;
/// An answer takes seconds; what was lost is asked again.
const AGAIN_SECONDS: u64 = 60;
/// The log is on its way.
const SOON_SECONDS: u64 = 2;
/// Somebody may be mending the aggregator's disk.
const REFUSED_SECONDS: u64 = 600;

#[cfg(test)]
mod tests;
