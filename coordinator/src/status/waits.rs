//! What a round waits for, and whom to call.

use serde::{Deserialize, Serialize};
use wugan_protocol::{
    file::FileKey,
    party::{MemberNumber, Party},
    policy::Class,
    reason::Reason,
    texts,
};

use super::{DepartmentStatus, OwnerStatus, Phase, View};
use crate::round::{close, node};

/// Something that a round waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Whose turn it is: a member's id.
    pub who: String,
    /// What it should do.
    pub what: Awaited,
    /// Since when, seconds since 1970 UTC.
    pub since: u64,
    /// Why it is not done.
    pub why: Why,
}

/// What is waited for. Names are ids, times are seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Awaited {
    /// A source's pools, or the matcher's receipts of them.
    Pools {
        /// Of which channels.
        channels: Vec<String>,
    },
    /// The time from which pools may be closed.
    PoolsTime {
        /// That time.
        from: u64,
    },
    /// The matcher's receipts of pools, whosever they are.
    PoolReceipts {},
    /// The matcher's list.
    List {},
    /// An owner's records and rows; at the latest time it is absent.
    Files {
        /// That time.
        until: u64,
    },
    /// The matcher's receipt for all records of an owner.
    RecordsReceipt {
        /// The owner.
        owner: String,
    },
    /// The aggregator's receipt for all row lists of an owner.
    RowsReceipt {
        /// The owner.
        owner: String,
    },
    /// The matcher's bitmaps.
    Bitmaps {
        /// Of which owner.
        owner: String,
    },
    /// The aggregator's signal bits.
    Bits {
        /// Of which owner.
        owner: String,
    },
    /// The coordinator's decisions.
    Decisions {
        /// Of which owner.
        owner: String,
    },
    /// That an owner takes its decisions.
    Delivery {},
}

texts! {
    /// Why something is not done.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "because", rename_all = "snake_case")]
    pub enum Why {
        /// The party that has to do it is not connected.
        NotConnected {} "not connected" "未连接";
        /// It said that it cannot.
        Failed { reason: Reason } "{reason}" "{reason}";
        /// The coordinator refused what it sent.
        Refused {} "refused by the coordinator" "协调方已拒收";
        /// It is connected, and has not done it yet.
        UnderWay {} "under way" "进行中";
        /// Its time has not come.
        NotYet {} "not time yet" "未到时间";
    }
}

impl View<'_> {
    /// What is waited for, in the order in which the round needs it.
    pub(super) fn waits(&self, departments: &[DepartmentStatus], owners: &[OwnerStatus]) -> Vec<Wait> {
        match Phase::of(self.log.ledger()) {
            Phase::Idle | Phase::Abandoned => Vec::new(),
            Phase::Pools => self.pools(departments),
            Phase::List => vec![self.wait(self.log.federation().matcher(), Awaited::List {})],
            Phase::Rows => self.each(owners, |owner, status| self.rows(owner, status)),
            Phase::Deciding => self.each(owners, |owner, status| self.deciding(owner, status)),
            Phase::Closed => self.each(owners, |owner, status| self.delivery(owner, status)),
        }
    }

    fn pools(&self, departments: &[DepartmentStatus]) -> Vec<Wait> {
        // Without the matcher nobody's pools can be in: it is the one to call.
        let receipts = self.wait(self.log.federation().matcher(), Awaited::PoolReceipts {});
        let mut waits: Vec<Wait> = Some(receipts).filter(|wait| wait.why == Why::NotConnected {}).into_iter().collect();
        for department in departments {
            let Some(source) = self.policy.member_number(&department.id) else { continue };
            for failed in &department.failed {
                let what = Awaited::Pools { channels: vec![failed.channel.clone()] };
                let why = Why::Failed { reason: failed.reason };
                waits.push(Wait { who: department.id.clone(), what, since: self.since(), why });
            }
            if !department.waiting_for.is_empty() {
                waits.push(self.wait(node(source), Awaited::Pools { channels: department.waiting_for.clone() }));
            }
        }
        let from = self.round.manifest().pools_close_from;
        if waits.is_empty() {
            let who = self.policy.member_id(self.policy.coordinator).to_owned();
            waits.push(Wait { who, what: Awaited::PoolsTime { from }, since: self.since(), why: Why::NotYet {} });
        }
        waits
    }

    fn rows(&self, owner: MemberNumber, status: &OwnerStatus) -> Vec<Wait> {
        let federation = self.log.federation();
        if !status.announced {
            let until = close::rows_latest(self.round, self.log.listed());
            let wait = self.wait(node(owner), Awaited::Files { until });
            let why = status.failed.map_or(wait.why, |reason| Why::Failed { reason });
            return vec![Wait { why, ..wait }];
        }
        let id = || status.id.clone();
        // An owner that is gone has not sent everything, so it is the one to call.
        let party = |server| if self.peers.is_up(node(owner)) { server } else { node(owner) };
        let records =
            (!status.records).then(|| self.wait(party(federation.matcher()), Awaited::RecordsReceipt { owner: id() }));
        let rows =
            (!status.rows).then(|| self.wait(party(federation.aggregator()), Awaited::RowsReceipt { owner: id() }));
        records.into_iter().chain(rows).collect()
    }

    fn deciding(&self, owner: MemberNumber, status: &OwnerStatus) -> Vec<Wait> {
        if !self.round.complete(owner) {
            return Vec::new();
        }
        let federation = self.log.federation();
        let bitmap = |class| self.announced(FileKey::Bitmap { owner, class });
        let owner_id = status.id.clone();
        if status.decided {
            self.delivery(owner, status)
        } else if !Class::ALL.into_iter().all(bitmap) {
            vec![self.wait(federation.matcher(), Awaited::Bitmaps { owner: owner_id })]
        } else if self.log.bits_refused(owner) {
            let wait = self.wait(federation.aggregator(), Awaited::Bits { owner: owner_id });
            vec![Wait { why: Why::Refused {}, ..wait }]
        } else if !self.announced(FileKey::Bits { owner }) {
            vec![self.wait(federation.aggregator(), Awaited::Bits { owner: owner_id })]
        } else {
            let (who, since) = (self.policy.member_id(self.policy.coordinator).to_owned(), self.since());
            vec![Wait { who, what: Awaited::Decisions { owner: owner_id }, since, why: Why::UnderWay {} }]
        }
    }

    fn delivery(&self, owner: MemberNumber, status: &OwnerStatus) -> Vec<Wait> {
        let lacks = status.decided && !status.delivered;
        lacks.then(|| self.wait(node(owner), Awaited::Delivery {})).into_iter().collect()
    }

    fn each(&self, owners: &[OwnerStatus], waits: impl Fn(MemberNumber, &OwnerStatus) -> Vec<Wait>) -> Vec<Wait> {
        self.policy.owners().zip(owners).flat_map(|(owner, status)| waits(owner, status)).collect()
    }

    /// Waits for a party since the phase began, or since it went.
    fn wait(&self, party: Party, what: Awaited) -> Wait {
        let who = self.policy.member_id(party.member).to_owned();
        match self.gone(party) {
            Some(gone) => Wait { who, what, since: gone.max(self.since()), why: Why::NotConnected {} },
            None => Wait { who, what, since: self.since(), why: Why::UnderWay {} },
        }
    }
}
