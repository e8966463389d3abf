//! Files on their way to the servers: each announced file is sent until its receiver has it.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    engine::{Command, Severity},
    file::FileKey,
    hexes::Digest,
    ledger::Round,
    message::FileReply,
    party::Party,
    reason::Reason,
    statement::Receipt,
};

use super::{Commands, NodeEngine};

/// What is known of this node's files in transit.
#[derive(Default)]
pub(super) struct Files {
    up: BTreeSet<Party>,
    under_way: BTreeSet<(Digest, FileKey)>,
    kept: BTreeSet<(Digest, FileKey)>,
    refused: BTreeMap<(Digest, FileKey), u32>,
    /// Not before this time is a file sent again.
    not_before: BTreeMap<(Digest, FileKey), u64>,
}

impl Files {
    pub(super) fn up(&mut self, party: Party) {
        self.up.insert(party);
    }

    pub(super) fn down(&mut self, party: Party) {
        self.up.remove(&party);
    }

    pub(super) fn is_up(&self, party: Party) -> bool {
        self.up.contains(&party)
    }

    /// The receiver refused the file in the log: what it kept is gone there.
    pub(super) fn refused(&mut self, key: (Digest, FileKey)) {
        self.kept.remove(&key);
        *self.refused.entry(key).or_default() += 1;
    }

    fn wanted(&self, key: (Digest, FileKey), now: u64) -> bool {
        if self.not_before.get(&key).is_some_and(|time| now < *time) {
            return false;
        }
        let given_up = self.refused.get(&key).is_some_and(|times| *times >= REFUSALS_MAX);
        !self.kept.contains(&key) && !self.under_way.contains(&key) && !given_up
    }
}

impl NodeEngine {
    /// Sends what the log shows as announced and the receivers lack.
    pub(super) fn send_files(&mut self, now: u64) -> Commands {
        let Some(round) = self.member.round() else { return Vec::new() };
        let hash = round.hash();
        let mut commands = Vec::new();
        for (file, to) in self.outstanding(round) {
            let logged = round.announcement(file).is_some();
            let Some(line) = self.member.announced(hash, file).filter(|_| logged) else { continue };
            if self.files.up.contains(&to) && self.files.wanted((hash, file), now) {
                self.files.under_way.insert((hash, file));
                commands.push(Command::SendFile { to, round: hash, file, line: line.clone() });
            }
        }
        commands
    }

    pub(super) fn sent(&mut self, to: Party, key: (Digest, FileKey), reply: Option<FileReply>, now: u64) -> Commands {
        self.files.under_way.remove(&key);
        self.files.not_before.insert(key, now + RETRY_SECONDS);
        let passing = [Reason::BeforeItsTime, Reason::NoSpace].map(|reason| Some(FileReply::Refused(reason.code())));
        match reply {
            None => Vec::new(),
            reply if passing.contains(&reply) => Vec::new(),
            Some(FileReply::Kept) => {
                self.files.kept.insert(key);
                Vec::new()
            }
            Some(FileReply::Refused(code)) => {
                *self.files.refused.entry(key).or_default() += 1;
                let reason = Reason::from_code(code).map_or_else(|| format!("reason {code}"), |r| r.to_string());
                let who = self.member.federation().party_name(to);
                vec![Command::Tell(Severity::Warn, format!("{who} refused {}: {reason}", key.1.name()))]
            }
        }
    }

    /// Files of this node that a receiver may still lack, and the receiver.
    fn outstanding(&self, round: &Round) -> Vec<(FileKey, Party)> {
        let federation = self.member.federation();
        let (matcher, aggregator) = (federation.matcher(), federation.aggregator());
        let mut files = Vec::new();
        if round.pools_closed().is_none() {
            let own = federation.policy().channels_of(self.me()).map(|channel| channel.number);
            let open = own.filter(|channel| !round.has_receipt(matcher.member, &Receipt::Pools { channel: *channel }));
            files.extend(open.flat_map(|channel| round.pool_files(channel)).map(|file| (file, matcher)));
        }
        if self.owner && round.list().is_some() && round.rows_closed().is_none() {
            let owner = self.me();
            if !round.has_receipt(matcher.member, &Receipt::Records { owner }) {
                files.extend(round.record_files(owner).into_iter().map(|file| (file, matcher)));
            }
            if !round.has_receipt(aggregator.member, &Receipt::Rows { owner }) {
                files.extend(wugan_protocol::ledger::row_files(owner).into_iter().map(|file| (file, aggregator)));
            }
        }
        files
    }
}

/// After a lost connection, or an answer that passes by itself.
const RETRY_SECONDS: u64 = 2;
/// A file is sent once more after a refusal; a second refusal stands until the program is started again.
const REFUSALS_MAX: u32 = 2;
