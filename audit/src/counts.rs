//! Whether the counts that the log tells agree with each other, with the policy, and with what the federation manifest
//! allows. A told count stands for a range, since it is rounded; what is checked is that some exact counts fit all of
//! them.

use std::ops::RangeInclusive;

use wugan_protocol::{
    file::FileKey,
    ledger::{Logged, Round},
    limits::{COUNT_STEP, FILE_ITEMS_MAX, TOLD_MIN, TOLD_STEP, round_up_count},
    manifest::Federation,
    party::MemberNumber,
    policy::{Class, MatterRound, Policy},
    statement::{Announcement, DecisionCount, MatterTotals, Statement, Totals},
};

use crate::detail::Words;

/// The counts of one round so far.
pub(crate) struct Counts<'a> {
    /// The round, in which what is checked is logged.
    pub(crate) round: &'a Round,
    /// The federation.
    pub(crate) federation: &'a Federation,
}

impl Counts<'_> {
    /// Which count cannot be of those that an entry tells.
    pub(crate) fn wrong(&self, logged: &Logged) -> Option<Words> {
        match &logged.signed.body().statement {
            Statement::Announcement(announcement) => {
                let (file, count) = (announcement.file.name(), announcement.count);
                (!self.announced(announcement)).then_some(Words::FileCount { file, count })
            }
            Statement::Decisions(totals) => self.totals(totals).err(),
            _ => None,
        }
    }

    fn announced(&self, announcement: &Announcement) -> bool {
        let count = announcement.count;
        let fits = match announcement.file {
            FileKey::Pool { .. } => is_multiple(self.federation.policy(), count),
            FileKey::Records { owner, channel } => {
                count <= round_up_count(self.times_rows(owner, |matter| matter.present().contains(&channel).into()))
            }
            FileKey::Rows { owner, class } => {
                count <= round_up_count(self.times_rows(owner, |matter| matter.available()[class.index()]))
            }
            FileKey::Bitmap { owner, class } => overlap(&exact(count), &self.records(owner, class)),
            FileKey::Bits { owner } => self.bits(owner, count),
            FileKey::Decisions { owner } => self.told(FileKey::Bits { owner }) == exact(count),
        };
        fits && count <= round_up_count(FILE_ITEMS_MAX)
    }

    /// Whether one owner's totals can be those of its decisions.
    fn totals(&self, totals: &Totals) -> Result<(), Words> {
        let owner = self.federation.policy().member_id(totals.owner).to_owned();
        let (mut least, mut most) = (0, 0);
        for ((told, matter), rows) in
            totals.matters.iter().zip(self.round.matters(totals.owner)).zip(self.limits(totals.owner))
        {
            let can_be = |count: &DecisionCount| count.about.is_none() || matter.can_decide(count.decision);
            let range = rows_of(told);
            if *range.start() > rows || !told.counts.iter().all(can_be) {
                let matter = self.federation.policy().matters.iter().find(|matter| matter.number == told.matter);
                let matter = matter.map_or_else(|| told.matter.to_string(), |matter| matter.id.clone());
                return Err(Words::MatterCount { owner, matter });
            }
            least += range.start();
            most += range.end();
        }
        let all = overlap(&(least..=most), &self.told(FileKey::Decisions { owner: totals.owner }));
        if all { Ok(()) } else { Err(Words::AllCounts { owner }) }
    }

    /// Rows, no more than allowed; of each class, every row appears as often as its matter has channels.
    fn bits(&self, owner: MemberNumber, count: u64) -> bool {
        let rows = exact(count);
        let allowed = *rows.start() <= self.times_rows(owner, |_| 1);
        allowed
            && Class::ALL.into_iter().all(|class| {
                let channels = self.round.matters(owner).iter().map(|matter| matter.available()[class.index()]);
                let (fewest, most) = (channels.clone().min().unwrap_or(0), channels.max().unwrap_or(0));
                let expected = rows.start() * u64::from(fewest)..=rows.end() * u64::from(most);
                let words = self.told(FileKey::Rows { owner, class });
                // Each record serves a row.
                overlap(&words, &expected) && words.end() >= self.records(owner, class).start()
            })
    }

    /// Records of an owner in one class.
    fn records(&self, owner: MemberNumber, class: Class) -> RangeInclusive<u64> {
        let channels = self.round.record_channels(owner).into_iter();
        let of_class = channels
            .filter(|number| self.federation.policy().channel(*number).is_some_and(|channel| channel.class == class));
        of_class
            .map(|channel| self.told(FileKey::Records { owner, channel }))
            .fold(0..=0, |sum, told| sum.start() + told.start()..=sum.end() + told.end())
    }

    /// What was announced of a file.
    fn told(&self, file: FileKey) -> RangeInclusive<u64> {
        exact(self.round.announcement(file).map_or(0, |announcement| announcement.count))
    }

    /// Rows that the manifest allows at each of an owner's matters.
    fn limits(&self, owner: MemberNumber) -> impl Iterator<Item = u64> {
        self.federation.owner_limits(owner).map_or(&[][..], |limits| &limits.rows).iter().copied()
    }

    /// The rows that the manifest allows at an owner's matters, each times what `factor` says of the matter.
    fn times_rows(&self, owner: MemberNumber, factor: impl Fn(&MatterRound) -> u32) -> u64 {
        let matters = self.round.matters(owner).iter().zip(self.limits(owner));
        let times = matters.map(|(matter, rows)| rows.saturating_mul(factor(matter).into()));
        // Less than the largest number, so that it can be rounded up.
        times.fold(0, u64::saturating_add).min(FILE_ITEMS_MAX)
    }
}

/// Whether a pool can have so many tags: with size classes, a multiple of the policy's step.
fn is_multiple(policy: &Policy, count: u64) -> bool {
    let step = policy.pool_size_step.map_or(1, |step| step.get());
    exact(count).contains(&(count / step * step))
}

/// The exact counts that are told as this one.
fn exact(count: u64) -> RangeInclusive<u64> {
    count.saturating_sub(COUNT_STEP - 1)..=count
}

/// How many rows a matter can have by its totals.
fn rows_of(totals: &MatterTotals) -> RangeInclusive<u64> {
    totals.counts.iter().fold(0..=0, |sum, count| {
        let (least, most) = match count.about {
            None => (0, TOLD_MIN - 1),
            Some(about) => (TOLD_MIN.max(about - TOLD_STEP / 2), about + TOLD_STEP / 2),
        };
        sum.start() + least..=sum.end() + most
    })
}

fn overlap(one: &RangeInclusive<u64>, other: &RangeInclusive<u64>) -> bool {
    one.start() <= other.end() && other.start() <= one.end()
}

#[cfg(test)]
mod tests;
