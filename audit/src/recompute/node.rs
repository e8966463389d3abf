//! A node's home as an auditor on the spot reads it.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};
use wugan_keys::{StorageKey, seal::SealedReader};
use wugan_protocol::{
    at_rest::{self, CACHE, CACHE_ENTRY_BYTES, DATABASE, PERSON_BYTES, SEALED},
    chance::{Purpose, RoundSeed},
    file::{FileKey, Header},
    limits::round_up_count,
    oprf::MatchingKey,
    party::{MemberNumber, Party},
    policy::{Channel, Policy},
    statement::SourceEpoch,
};

use super::{
    CannotRecompute, ITEMS_MAX,
    facts::{self, SettledAt},
};
use crate::{
    detail::Detail,
    finding::{Finding, Rule},
    kept::finished,
    replay::{CannotReplay, ROUNDS, Replayed},
    round::LoggedRound,
};

/// One node's sealed files.
pub(super) struct Node<'a> {
    told: &'a LoggedRound,
    party: Party,
    home: PathBuf,
    storage: &'a StorageKey,
    read: Cell<u64>,
    computed: u64,
    findings: Vec<Finding>,
}

/// Why a computation does not go on.
pub(super) enum Stop {
    /// Something is wrong with what lies here.
    Found(Rule, String),
    /// It cannot be looked at.
    Cannot(CannotRecompute),
}

impl<'a> Node<'a> {
    pub(super) fn open(
        told: &'a LoggedRound,
        party: Party,
        home: &Path,
        storage: &'a StorageKey,
    ) -> Result<Node<'a>, CannotReplay> {
        if !home.join(SEALED).is_dir() {
            return Err(CannotReplay::NotAHome { folder: home.to_owned(), inside: SEALED });
        }
        let (home, read) = (home.to_owned(), Cell::new(0));
        Ok(Node { told, party, home, storage, read, computed: 0, findings: Vec::new() })
    }

    pub(super) fn finish(self, replayed: &mut Replayed) {
        replayed.inputs = self.read.get();
        replayed.outputs = self.computed;
        replayed.findings.extend(self.findings);
    }

    /// Does something; what stops it is a finding, unless it cannot be looked at.
    pub(super) fn attempt(
        &mut self,
        what: impl FnOnce(&mut Node<'a>) -> Result<(), Stop>,
    ) -> Result<(), CannotRecompute> {
        match what(self) {
            Ok(()) => {}
            Err(Stop::Found(rule, detail)) => self.find(rule, None, detail),
            Err(Stop::Cannot(error)) => return Err(error),
        }
        Ok(())
    }

    /// Whether sealed files lie here and not one of them opens: then the storage key is another node's.
    pub(super) fn opens_nothing(&self) -> Result<bool, CannotRecompute> {
        if self.read.get() > 0 || !self.findings.iter().any(|finding| finding.rule == Rule::SealedDamaged) {
            return Ok(false);
        }
        for folder in [SEALED, CACHE] {
            let names = match self.names(folder, "") {
                Err(Stop::Cannot(error)) => return Err(error),
                names => names.unwrap_or_default(),
            };
            if names.iter().any(|name| self.opens(folder, name).is_ok()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens a sealed file, and reads where it begins.
    fn opens(&self, folder: &'static str, name: &str) -> io::Result<()> {
        let file = BufReader::new(File::open(self.home.join(folder).join(name))?);
        SealedReader::new(file, &self.storage.bulk_key(folder))?.fill_buf().map(drop)
    }

    pub(super) fn told(&self) -> &'a LoggedRound {
        self.told
    }

    pub(super) fn policy(&self) -> &'a Policy {
        self.told.federation.policy()
    }

    pub(super) fn member(&self) -> MemberNumber {
        self.party.member
    }

    /// A source in the epoch that the round names.
    pub(super) fn epoch(&self, source: MemberNumber) -> SourceEpoch {
        let channels = &self.told.round.manifest().channels;
        let epoch = channels.iter().find(|channel| channel.source == source).map_or(0, |channel| channel.epoch);
        SourceEpoch { source, epoch }
    }

    /// The sources that have a channel on the list, in the round's epochs.
    pub(super) fn listed_sources(&self) -> BTreeSet<SourceEpoch> {
        let list = self.told.round.list();
        let listed = |channel: &&Channel| list.is_some_and(|list| list.contains(&channel.number));
        let channels = self.policy().channels.iter().filter(listed);
        channels.map(|channel| self.epoch(channel.source)).collect()
    }

    /// When each source had settled each of this owner's batches.
    pub(super) fn settled(&self) -> Result<SettledAt, Stop> {
        let path = self.home.join(DATABASE);
        if !path.exists() {
            return Err(Stop::Found(Rule::SealedMissing, DATABASE.to_owned()));
        }
        facts::settled(&self.home).map_err(|error| Stop::Cannot(CannotRecompute::Database { path, error }))
    }

    /// The round's seed.
    pub(super) fn seed(&self) -> Result<RoundSeed, Stop> {
        let name = at_rest::seed(self.told.round.hash());
        let bytes = self.items::<32>(SEALED, &name)?;
        bytes.first().copied().map(RoundSeed::new).ok_or(Stop::Found(Rule::SealedDamaged, name))
    }

    /// What is derived of the seed for a purpose.
    pub(super) fn derive(&self, seed: &RoundSeed, purpose: Purpose) -> [u8; 32] {
        seed.derive(&self.told.round.hash().0, purpose)
    }

    /// All items of a sealed file.
    pub(super) fn items<const N: usize>(&self, folder: &'static str, name: &str) -> Result<Vec<[u8; N]>, Stop> {
        let mut items = Vec::new();
        self.each(folder, name, |item| {
            items.push(item);
            Ok(())
        })?;
        Ok(items)
    }

    /// Shows `take` the items of a sealed file, one after another.
    pub(super) fn each<const N: usize>(
        &self,
        folder: &'static str,
        name: &str,
        mut take: impl FnMut([u8; N]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let path = self.home.join(folder).join(name);
        let stop = |error| stopped(&path, folder, name, error);
        let file = BufReader::new(File::open(&path).map_err(stop)?);
        let mut file = SealedReader::new(file, &self.storage.bulk_key(folder)).map_err(stop)?;
        file.fill_buf().map_err(stop)?;
        self.read.set(self.read.get() + 1);
        let mut count = 0;
        while !file.fill_buf().map_err(stop)?.is_empty() {
            let mut item = [0; N];
            file.read_exact(&mut item).map_err(stop)?;
            count += 1;
            if count > ITEMS_MAX {
                return Err(Stop::Cannot(CannotRecompute::TooMany { file: path.display().to_string() }));
            }
            take(item)?;
        }
        Ok(())
    }

    /// Shows `found` the place and the matching key of each of `people` (ascending) whom a source's cache knows; more than
    /// once if the key stands more than once.
    pub(super) fn keys(
        &self,
        source: SourceEpoch,
        people: &[u64],
        mut found: impl FnMut(usize, &MatchingKey),
    ) -> Result<(), Stop> {
        for name in self.names(CACHE, &at_rest::cache_prefix(source))? {
            let mut place = 0;
            self.each::<CACHE_ENTRY_BYTES>(CACHE, &name, |entry| {
                let known = person_of(&entry);
                place += people[place..].iter().take_while(|person| **person < known).count();
                if people.get(place) == Some(&known) {
                    let mut key = [0; CACHE_ENTRY_BYTES - PERSON_BYTES];
                    key.copy_from_slice(&entry[PERSON_BYTES..]);
                    found(place, &MatchingKey::from_bytes(key));
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Names in a folder that begin so, in order; none if there is no such folder.
    pub(super) fn names(&self, folder: &'static str, prefix: &str) -> Result<Vec<String>, Stop> {
        let path = self.home.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| unread(&path, error))?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect::<io::Result<_>>().map_err(|error| unread(&path, error))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    /// Compares a file with its announcement, if there is one.
    pub(super) fn compare(&mut self, file: FileKey, header: &Header, write: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let Some(announcement) = self.told.round.announcement(file) else { return };
        let mut hash = Context::new(&SHA256);
        hash.update(&header.encode());
        write(&mut |bytes| hash.update(bytes));
        self.computed += 1;
        if finished(hash) != announcement.digest {
            self.find(Rule::FileFalse, self.told.announced(file), file.name());
        } else if round_up_count(header.count) != announcement.count {
            self.find(Rule::OutputCount, self.told.announced(file), file.name());
        }
    }

    /// Where a file of the round lies.
    pub(super) fn path_of(&self, file: FileKey) -> PathBuf {
        self.home.join(ROUNDS).join(self.told.round.hash().to_string()).join(file.name())
    }

    /// Something else than a file was computed anew.
    pub(super) fn count_computed(&mut self) {
        self.computed += 1;
    }

    pub(super) fn find(&mut self, rule: Rule, entry: Option<u64>, detail: impl Into<Detail>) {
        let party = Some(self.told.federation.party_name(self.party));
        self.findings.push(Finding::new(rule, entry, party, detail));
    }
}

/// The person with which an item begins.
pub(super) fn person_of(item: &[u8]) -> u64 {
    item.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// What an error of a sealed file means: the storage key is this node's, so what it does not open was changed.
fn stopped(path: &Path, folder: &str, name: &str, error: io::Error) -> Stop {
    let detail = format!("{folder}/{name}");
    match error.kind() {
        io::ErrorKind::NotFound => Stop::Found(Rule::SealedMissing, detail),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Stop::Found(Rule::SealedDamaged, detail),
        _ => unread(path, error),
    }
}

fn unread(path: &Path, error: io::Error) -> Stop {
    Stop::Cannot(CannotReplay::Unread { path: path.to_owned(), error }.into())
}
