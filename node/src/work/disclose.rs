//! The jobs of a disclosure at a roster owner: which row a person has, and which channels the handles of an answer stand
//! for.

use std::{io, sync::Arc};

use wugan_protocol::{
    disclosure::Opening,
    file::FileKey,
    hexes::Digest,
    month::Month,
    person::PersonId,
    policy::{Class, DEFERRED, Decision, Matter, MatterRound, Policy},
    reason::Reason,
    run::RunError,
};

use super::{Done, NodeWorker};
use crate::{
    admin::{Private, Refusal},
    decisions,
    disclosures::{Told, keep_note, write},
    handles::Handles,
    rowmap::RowMap,
    seed::{fresh, round_seed},
    snapshot::Snapshot,
};

/// Which row a suspected person has.
#[derive(Debug)]
pub struct FindRow {
    /// The policy of the round.
    pub policy: Arc<Policy>,
    /// The round.
    pub round: Digest,
    /// The person.
    pub person: PersonId,
    /// The matter's place among the owner's.
    pub place: u16,
    /// Rows about which was asked before.
    pub asked: Vec<u32>,
    /// Why it is asked, in words.
    pub note: Private,
}

/// A row whose suspicion may be asked about.
#[derive(Debug)]
pub struct FoundRow {
    /// The row, and fresh random bytes.
    pub opening: Opening,
    /// The negative class that raised the suspicion.
    pub class: Class,
    /// Digest of the note, which is kept.
    pub note: Digest,
}

/// An answer that the log shows.
#[derive(Debug)]
pub struct WriteDisclosure {
    /// Hash of the requesting entry.
    pub request: Digest,
    /// The policy of the round.
    pub policy: Arc<Policy>,
    /// The round.
    pub round: Digest,
    /// Its month.
    pub month: Month,
    /// The owner's matters in it.
    pub matters: Vec<MatterRound>,
    /// The class that was asked about.
    pub class: Class,
    /// The row.
    pub row: u32,
    /// What the aggregator told.
    pub handles: Vec<u32>,
}

impl NodeWorker {
    pub(super) fn find_row(&self, find: &FindRow) -> Result<FoundRow, Refusal> {
        let failed = |error: io::Error| Refusal::Files { error: error.to_string() };
        let matters: Vec<&Matter> = find.policy.matters_of(self.member).collect();
        let matter = matters.get(usize::from(find.place)).ok_or(Refusal::UnknownPerson {})?;
        let row = self.row_of(find).map_err(failed)??;
        if find.asked.contains(&row) {
            return Err(Refusal::AskedBefore {});
        }
        let file = self.rounds.open(find.round, FileKey::Decisions { owner: self.member });
        let bytes = file.map_err(RunError::Io).and_then(|file| decisions::read(file, matters.len()));
        let bytes = bytes.map_err(|error| Refusal::Files { error: error.to_string() })?;
        let byte = bytes.get(row as usize).copied().unwrap_or(DEFERRED);
        let rule = find.policy.rules(matter).get(usize::from(byte));
        let rule = rule.ok_or(Refusal::NotSuspected { decision: Decision::Deferred })?;
        if rule.decide != Decision::Suspected {
            return Err(Refusal::NotSuspected { decision: rule.decide });
        }
        let class = Class::ALL.into_iter().find(|class| rule.suspects_for(*class));
        let class = class.ok_or(Refusal::NoNegativeClass {})?;
        let opening = Opening { salt: fresh().map_err(failed)?, row };
        let note = fresh().and_then(|salt| keep_note(&self.department, &salt, &find.note.0)).map_err(failed)?;
        Ok(FoundRow { opening, class, note })
    }

    /// A person without a row was on the roster and not enrolled in time, or not on the roster.
    fn row_of(&self, find: &FindRow) -> io::Result<Result<u32, Refusal>> {
        let wanted = (find.person, find.place);
        for row in RowMap::of(&self.sealed, find.round).rows()? {
            let row = row?;
            if (row.person, row.matter) == wanted {
                return Ok(Ok(row.row));
            }
        }
        for row in Snapshot::of(&self.sealed, find.round).rows()? {
            if row? == wanted {
                return Ok(Err(Refusal::NotSuspected { decision: Decision::Deferred }));
            }
        }
        Ok(Err(Refusal::UnknownPerson {}))
    }

    pub(super) fn write_disclosure(&self, told: &WriteDisclosure) -> io::Result<Done> {
        let map = RowMap::of(&self.sealed, told.round);
        let of_row = map.rows()?.find(|row| row.as_ref().map_or(true, |row| row.row == told.row)).transpose()?;
        let row = of_row.ok_or_else(|| io::Error::other("the row map of the round lacks a row that it had"))?;
        let seed = round_seed(&self.sealed, told.round)?;
        let (policy, owner, round, matters) = (&*told.policy, self.member, told.round, told.matters.as_slice());
        let handles = Handles { policy, owner, round, seed: &seed, matters }.of(&map, told.class, row.person)?;
        let channels = told.handles.iter().map(|handle| policy.channel(*handles.get(handle)?));
        let channels: Option<Vec<&str>> = channels.map(|channel| Some(channel?.id.as_str())).collect();
        let matter = policy.matters_of(owner).nth(usize::from(row.matter));
        // A suspicion rests on some records, and each stands once.
        let distinct = !told.handles.is_empty() && told.handles.is_sorted_by(|one, next| one < next);
        let (Some(channels), Some(matter), true) = (channels, matter, distinct) else {
            return Ok(Done::NotDisclosed { request: told.request, reason: Reason::BadHandles });
        };
        let told_of = Told { person: row.person, matter: &matter.id, channels: &channels, request: told.request };
        let path = write(&self.department, &told.month.to_string(), &told_of)?;
        Ok(Done::Disclosed { request: told.request, text: path.display().to_string() })
    }
}
