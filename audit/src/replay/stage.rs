//! What the three stages have in common: inputs as announced, outputs against which recomputed bytes are held.

use std::{
    cell::Cell,
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};
use wugan_protocol::{
    file::{FileKey, Header},
    limits::round_up_count,
    party::{MemberNumber, Party},
    policy::{MatterRound, Policy},
    reason::Reason,
    statement::Announcement,
};

use super::{CannotReplay, ROUNDS, Replayed};
use crate::{
    detail::{Detail, Words},
    finding::{Finding, Rule},
    kept::{Fault, KeptFile, finished},
    round::LoggedRound,
};

/// One server's files of one round.
pub(super) struct Stage<'a> {
    told: &'a LoggedRound,
    party: Party,
    folder: PathBuf,
    /// Whether files were looked for, and one was there.
    looked: Cell<Option<bool>>,
    /// Inputs of which something was found.
    bad: BTreeSet<FileKey>,
    inputs: u64,
    outputs: u64,
    findings: Vec<Finding>,
}

/// Takes the bytes of an output after its header.
pub(super) struct Recomputed {
    kept: KeptFile,
    hash: Context,
    length: u64,
    differs: Option<u64>,
}

impl<'a> Stage<'a> {
    pub(super) fn open(told: &'a LoggedRound, party: Party, home: &Path) -> Result<Stage<'a>, CannotReplay> {
        let rounds = home.join(ROUNDS);
        if !rounds.is_dir() {
            return Err(CannotReplay::NotAHome { folder: home.to_owned(), inside: ROUNDS });
        }
        let folder = rounds.join(told.round.hash().to_string());
        let (looked, bad, findings) = (Cell::new(None), BTreeSet::new(), Vec::new());
        Ok(Stage { told, party, folder, looked, bad, inputs: 0, outputs: 0, findings })
    }

    /// Whether not one of the files that it needs is there.
    pub(super) fn lacks_everything(&self) -> bool {
        self.looked.get() == Some(false)
    }

    pub(super) fn finish(self, replayed: &mut Replayed) {
        replayed.inputs = self.inputs;
        replayed.outputs = self.outputs;
        replayed.findings.extend(self.findings);
    }

    pub(super) fn told(&self) -> &'a LoggedRound {
        self.told
    }

    pub(super) fn policy(&self) -> &'a Policy {
        self.told.federation.policy()
    }

    pub(super) fn matters(&self, owner: MemberNumber) -> &'a [MatterRound] {
        self.told.round.matters(owner)
    }

    /// Rows that each matter of an owner may have.
    pub(super) fn limits(&self, owner: MemberNumber) -> &'a [u64] {
        self.told.federation.owner_limits(owner).map_or(&[], |limits| &limits.rows)
    }

    /// Whether nothing was found of an input.
    pub(super) fn good(&self, file: FileKey) -> bool {
        !self.bad.contains(&file)
    }

    /// Reads an input that the server said to have, to its end. What `read` makes of it counts only if these are the
    /// announced bytes, and in order.
    pub(super) fn input<T>(
        &mut self,
        file: FileKey,
        read: impl FnOnce(&mut KeptFile) -> Result<(T, u64), Fault>,
    ) -> Result<Option<T>, CannotReplay> {
        let Some(announcement) = self.told.round.announcement(file) else { return Ok(None) };
        self.inputs += 1;
        let Some(mut kept) = self.open_file(file)? else {
            self.bad_input(file, Rule::InputMissing, file.name());
            return Ok(None);
        };
        let made = match read(&mut kept) {
            Err(Fault::Io(error)) => return Err(self.unread(file, error)),
            Err(Fault::Shape(reason)) => Err(reason),
            Ok((_, count)) if round_up_count(count) != announcement.count => Err(Reason::CountDiffers),
            Ok((made, _)) => Ok(made),
        };
        if kept.digest().map_err(|error| self.unread(file, error))? != announcement.digest {
            self.bad_input(file, Rule::InputDiffers, file.name());
            return Ok(None);
        }
        Ok(made.map_err(|reason| self.not_in_order(file, reason)).ok())
    }

    /// Holds recomputed bytes against the announced output. `header` is what it must begin with, but for the salt.
    pub(super) fn output(
        &mut self,
        file: FileKey,
        header: &Header,
        write: impl FnOnce(&mut Recomputed) -> io::Result<()>,
    ) -> Result<(), CannotReplay> {
        let Some(announcement) = self.told.round.announcement(file) else { return Ok(()) };
        let Some(kept) = self.open_file(file)? else {
            self.find(Rule::OutputMissing, file, file.name());
            return Ok(());
        };
        self.outputs += 1;
        let compared = Recomputed::compare(kept, header, announcement, write);
        match compared.map_err(|error| self.unread(file, error))? {
            Compared::Equal => {}
            Compared::NotAsAnnounced => self.find(Rule::OutputDiffers, file, file.name()),
            Compared::False(place) => self.find(Rule::OutputFalse, file, format!("{}:{place}", file.name())),
            Compared::Count => self.find(Rule::OutputCount, file, file.name()),
        }
        Ok(())
    }

    /// Opens a file, if it is there.
    pub(super) fn open_file(&self, file: FileKey) -> Result<Option<KeptFile>, CannotReplay> {
        let opened = KeptFile::open(&self.path(file)).map_err(|error| self.unread(file, error))?;
        self.looked.set(Some(self.looked.get() == Some(true) || opened.is_some()));
        Ok(opened)
    }

    /// An owner whose inputs are complete has no such output, though the round was closed and the server refused none of
    /// `inputs`.
    pub(super) fn lacking(&mut self, file: FileKey, inputs: &[FileKey]) {
        if self.told.closed() && !inputs.iter().any(|input| self.told.refused(self.party, *input)) {
            self.find(Rule::OutputLacking, file, file.name());
        }
    }

    /// An input is as announced, but not in order.
    pub(super) fn not_in_order(&mut self, file: FileKey, reason: Reason) {
        self.bad_input(file, Rule::InputShape, Words::Shape { file: file.name(), reason });
    }

    pub(super) fn find_entry(&mut self, rule: Rule, entry: Option<u64>, detail: impl Into<Detail>) {
        let party = Some(self.told.federation.party_name(self.party));
        self.findings.push(Finding::new(rule, entry, party, detail));
    }

    pub(super) fn unread(&self, file: FileKey, error: io::Error) -> CannotReplay {
        CannotReplay::Unread { path: self.path(file), error }
    }

    fn bad_input(&mut self, file: FileKey, rule: Rule, detail: impl Into<Detail>) {
        self.bad.insert(file);
        self.find(rule, file, detail);
    }

    fn find(&mut self, rule: Rule, file: FileKey, detail: impl Into<Detail>) {
        self.find_entry(rule, self.told.announced(file), detail);
    }

    fn path(&self, file: FileKey) -> PathBuf {
        self.folder.join(file.name())
    }
}

/// What became of a comparison.
enum Compared {
    Equal,
    /// The kept bytes are not the announced ones.
    NotAsAnnounced,
    /// The announced bytes are not those that follow: from this one on.
    False(u64),
    /// The announced count is not that of the file.
    Count,
}

impl Recomputed {
    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        let differs = self.kept.beside(bytes)?.map(|place| self.length + place as u64);
        self.differs = self.differs.or(differs);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn compare(
        mut kept: KeptFile,
        header: &Header,
        announced: &Announcement,
        write: impl FnOnce(&mut Recomputed) -> io::Result<()>,
    ) -> io::Result<Compared> {
        let salt = match kept.item() {
            Ok(salt) => salt,
            Err(Fault::Shape(_)) => [0; 32],
            Err(Fault::Io(error)) => return Err(error),
        };
        let count = round_up_count(header.count);
        let header = Header { salt, ..header.clone() }.encode();
        let (salt, rest) = header.split_at(salt.len());
        let mut hash = Context::new(&SHA256);
        hash.update(salt);
        let mut recomputed = Recomputed { kept, hash, length: salt.len() as u64, differs: None };
        recomputed.write(rest)?;
        write(&mut recomputed)?;
        let Recomputed { kept, hash, length, differs } = recomputed;
        let (kept, right) = (kept.digest()?, finished(hash));
        Ok(match () {
            () if kept != announced.digest => Compared::NotAsAnnounced,
            () if right != announced.digest => Compared::False(differs.unwrap_or(length)),
            () if count != announced.count => Compared::Count,
            () => Compared::Equal,
        })
    }
}
