//! How things stand: who is connected, what each department and owner has done for the round, and what is waited for.
//! Names are ids, times are seconds since 1970 UTC. It tells no more than the log and the connections do.

mod waits;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    file::FileKey,
    hexes::Digest,
    ledger::{Ledger, Round},
    manifest::Federation,
    month::Month,
    party::{MemberNumber, Party},
    policy::Policy,
    reason::Reason,
    statement::{DecisionCount, Receipt},
    texts,
};

pub use waits::{Awaited, Wait, Why};

use crate::{log::Log, peers::Peers, round::node};

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When this was so.
    pub now: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Connected parties, `tax/node`.
    pub connected: Vec<String>,
    /// How many parties there are besides the coordinator itself.
    pub parties: u64,
    /// The version of the federation manifest in force.
    pub version: u32,
    /// The next one, if it is confirmed here and can be adopted.
    pub next_version: Option<u32>,
    /// Where the last round stands.
    pub phase: Phase,
    /// The open round, or the last one.
    pub round: Option<RoundStatus>,
}

texts! {
    /// Where a round stands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Phase {
        /// There was none yet.
        Idle "no round yet" "尚无轮次";
        /// Pools go to the matcher.
        Pools "collecting pools" "收集数据池";
        /// The matcher has to sign the list.
        List "waiting for the list" "等待名单";
        /// Records and rows go to matcher and aggregator.
        Rows "collecting records and rows" "收集名册数据";
        /// Matching, aggregation, decisions.
        Deciding "deciding" "认定中";
        /// It has ended and counts.
        Closed "closed" "已结束";
        /// It is void.
        Abandoned "abandoned" "已作废";
    }
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundStatus {
    /// The month that is certified.
    pub month: Month,
    /// Hash of the round manifest.
    pub hash: Digest,
    /// When the phase began.
    pub since: u64,
    /// When things were done, or will be at the latest.
    pub times: Times,
    /// Departments with channels, by number.
    pub departments: Vec<DepartmentStatus>,
    /// Roster owners, by number.
    pub owners: Vec<OwnerStatus>,
    /// What is waited for.
    pub waits_for: Vec<Wait>,
    /// Members outside the coordinator's bureau that cosigned the log at the round's end.
    pub cosigned: u64,
    /// How many of them have to.
    pub quorum: u64,
    /// Ids of those that are connected and have not yet, once the round is closed.
    pub cosigning: Vec<String>,
}

/// The times of a round: what the manifest sets, and when each phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// It was opened.
    pub opened: u64,
    /// Earliest time at which pools may be closed.
    pub pools_close_from: u64,
    /// People not enrolled by then are deferred.
    pub enrolment_until: u64,
    /// The latest time for records and rows.
    pub rows_until: u64,
    /// Receipts of pools ended.
    pub pools_closed: Option<u64>,
    /// The list was signed, by the matcher's clock.
    pub listed: Option<u64>,
    /// Receipts of records and rows ended.
    pub rows_closed: Option<u64>,
    /// Closed or abandoned.
    pub ended: Option<u64>,
}

/// A source in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartmentStatus {
    /// The department's id.
    pub id: String,
    /// Whether its node is connected.
    pub connected: bool,
    /// Channels whose pools lie complete with the matcher.
    pub received: u64,
    /// Channels in all.
    pub channels: u64,
    /// Channels without receipt, of which the node said that it cannot deliver them.
    pub failed: Vec<FailedChannel>,
    /// Ids of the other channels without receipt.
    pub waiting_for: Vec<String>,
}

/// A channel that its node cannot deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedChannel {
    /// The channel's id.
    pub channel: String,
    /// Why.
    pub reason: Reason,
}

/// A roster owner in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerStatus {
    /// The department's id.
    pub id: String,
    /// Whether its node is connected.
    pub connected: bool,
    /// Why it said that it cannot take part, if it did.
    pub failed: Option<Reason>,
    /// Whether it has announced a file.
    pub announced: bool,
    /// Whether the matcher has its records.
    pub records: bool,
    /// Whether the aggregator has its row lists.
    pub rows: bool,
    /// Whether its rows are decided.
    pub decided: bool,
    /// Whether it has its decisions.
    pub delivered: bool,
    /// Totals of each matter, once decided: rounded to 5, below 8 not told.
    pub matters: Vec<MatterStatus>,
}

/// Totals of a matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatterStatus {
    /// The matter's id.
    pub id: String,
    /// Its totals.
    pub counts: Vec<DecisionCount>,
}

impl Phase {
    /// Where the log says that the last round stands.
    pub fn of(ledger: &Ledger) -> Phase {
        match ledger.round() {
            None => Phase::Idle,
            Some(round) if round.abandoned() => Phase::Abandoned,
            Some(round) if round.ended() => Phase::Closed,
            Some(round) if round.pools_closed().is_none() => Phase::Pools,
            Some(round) if round.list().is_none() => Phase::List,
            Some(round) if round.rows_closed().is_none() => Phase::Rows,
            Some(_) => Phase::Deciding,
        }
    }
}

/// What a status is read from.
struct View<'a> {
    log: &'a Log,
    peers: &'a Peers,
    policy: &'a Policy,
    round: &'a Round,
    /// When this run of the program began.
    started: u64,
}

pub(crate) fn read(log: &Log, peers: &Peers, started: u64, now: u64) -> Status {
    let federation = log.federation();
    let round = log.ledger().round();
    Status {
        now,
        entries: log.ledger().entries(),
        connected: peers.connected().map(|party| federation.party_name(party)).collect(),
        parties: federation.parties().count() as u64 - 1,
        phase: Phase::of(log.ledger()),
        version: federation.version(),
        next_version: log.ledger().next_version().map(Federation::version),
        round: round.map(|round| View { log, peers, policy: round.policy(), round, started }.read()),
    }
}

impl View<'_> {
    fn read(&self) -> RoundStatus {
        let sources = (0..self.policy.matcher_number()).filter(|source| self.policy.channels_of(*source).count() > 0);
        let departments: Vec<DepartmentStatus> = sources.map(|source| self.department(source)).collect();
        let owners: Vec<OwnerStatus> = self.policy.owners().map(|owner| self.owner(owner)).collect();
        let waits_for = self.waits(&departments, &owners);
        let (month, hash) = (self.round.manifest().month, self.round.hash());
        let (since, times) = (self.since(), self.times());
        let cosigned = self.cosigners();
        let connected: BTreeSet<MemberNumber> = self.peers.connected().map(|party| party.member).collect();
        let awaited = connected.iter().filter(|member| self.closed() && self.may_cosign(**member));
        let cosigning = awaited.filter(|member| !cosigned.contains(*member));
        RoundStatus {
            month,
            hash,
            since,
            times,
            departments,
            owners,
            waits_for,
            cosigned: cosigned.len() as u64,
            quorum: u64::from(self.quorum()),
            cosigning: cosigning.map(|member| self.policy.member_id(*member).to_owned()).collect(),
        }
    }

    /// Members that count for the quorum and cosigned.
    fn cosigners(&self) -> BTreeSet<MemberNumber> {
        let closed = self.log.ledger().closed().filter(|_| self.closed());
        let parties = closed.into_iter().flat_map(|closed| closed.cosigned.keys());
        parties.map(|party| party.member).filter(|member| self.may_cosign(*member)).collect()
    }

    fn quorum(&self) -> u16 {
        let closed = self.log.ledger().closed().filter(|_| self.closed());
        closed.map_or(self.log.federation().manifest().quorum, |closed| closed.quorum)
    }

    fn closed(&self) -> bool {
        self.round.ended() && !self.round.abandoned()
    }

    fn may_cosign(&self, member: MemberNumber) -> bool {
        member != self.policy.coordinator
    }

    fn times(&self) -> Times {
        let manifest = self.round.manifest();
        Times {
            opened: self.round.opened(),
            pools_close_from: manifest.pools_close_from,
            enrolment_until: manifest.enrolment_until,
            rows_until: manifest.rows_until,
            pools_closed: self.round.pools_closed(),
            listed: self.log.listed(),
            rows_closed: self.round.rows_closed(),
            ended: self.log.ended(),
        }
    }

    /// When the present phase began.
    fn since(&self) -> u64 {
        let Times { opened, pools_closed, listed, rows_closed, ended, .. } = self.times();
        [ended, rows_closed, listed, pools_closed].into_iter().flatten().next().unwrap_or(opened)
    }

    fn department(&self, source: MemberNumber) -> DepartmentStatus {
        let received = self.round.receipted_channels();
        let missing = || self.policy.channels_of(source).filter(|channel| !received.contains(&channel.number));
        let failure = |number| self.round.failures().get(&(source, Some(number))).copied();
        let failed = missing().filter_map(|channel| {
            failure(channel.number).map(|reason| FailedChannel { channel: channel.id.clone(), reason })
        });
        let waiting = missing().filter(|channel| failure(channel.number).is_none());
        let channels = self.policy.channels_of(source).count() as u64;
        DepartmentStatus {
            id: self.policy.member_id(source).to_owned(),
            connected: self.peers.is_up(node(source)),
            received: channels - missing().count() as u64,
            channels,
            failed: failed.collect(),
            waiting_for: waiting.map(|channel| channel.id.clone()).collect(),
        }
    }

    fn owner(&self, owner: MemberNumber) -> OwnerStatus {
        let (round, manifest) = (self.round, self.round.manifest());
        let told = round.has_receipt(owner, &Receipt::Decisions {});
        OwnerStatus {
            id: self.policy.member_id(owner).to_owned(),
            connected: self.peers.is_up(node(owner)),
            failed: round.failures().get(&(owner, None)).copied(),
            announced: round.has_announced(owner),
            records: round.has_receipt(manifest.matcher, &Receipt::Records { owner }),
            rows: round.has_receipt(manifest.aggregator, &Receipt::Rows { owner }),
            decided: round.totals(owner).is_some(),
            delivered: told,
            matters: self.matters(owner),
        }
    }

    fn matters(&self, owner: MemberNumber) -> Vec<MatterStatus> {
        let ids: BTreeMap<u16, &str> =
            self.policy.matters_of(owner).map(|matter| (matter.number, matter.id.as_str())).collect();
        let totals = self.round.totals(owner).into_iter().flat_map(|totals| &totals.matters);
        let matter =
            |id: &&str, counts: &Vec<DecisionCount>| MatterStatus { id: (*id).to_owned(), counts: counts.clone() };
        totals.filter_map(|totals| ids.get(&totals.matter).map(|id| matter(id, &totals.counts))).collect()
    }

    fn announced(&self, file: FileKey) -> bool {
        self.round.announcement(file).is_some()
    }

    /// Since when a party that is not connected is not.
    fn gone(&self, party: Party) -> Option<u64> {
        (!self.peers.is_up(party)).then(|| self.peers.gone(party).unwrap_or(self.started))
    }
}
