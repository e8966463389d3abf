//! The roster owner's side of enrolment: batches of blinded people, and the matching keys that verified answers give.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use wugan_protocol::{
    at_rest::{PERSON_BYTES, SNAPSHOT_ROW_BYTES as ROW_BYTES, batch as file_name},
    hexes::{Digest, sha256},
    limits::BATCH_PEOPLE_MAX,
    oprf::{BatchContext, BatchSeed, BlindedBatch, Element, PreparedKey, Proof, PublicKey, blind, padded_len, verify},
    party::MemberNumber,
    person::PersonId,
    statement::{EnrolmentBatch, SourceEpoch},
};
use wugan_transport::rounds::{delete_whole, if_there, sync_folder, write_whole};

use crate::{
    cache::Cache,
    pool::inputs,
    seed::fresh,
    snapshot::{Snapshot, roster_row},
    sorter::{Sorted, Sorter, without},
    vault::{Vault, person_bytes, person_of},
};

/// Batches at rest and in memory.
pub struct Enrolment {
    vault: Vault,
    folder: PathBuf,
    /// Verified answers, kept as evidence of what each source proved.
    received: Answers,
    cache: Cache,
    /// Batches under way, blinded: making one again costs as much as verifying several answers.
    recent: Mutex<BTreeMap<u64, Arc<BlindedBatch>>>,
    prepared: Mutex<HashMap<SourceEpoch, Arc<PreparedKey>>>,
}

/// People of an earlier batch whose answers are still to come, by source.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The batch.
    pub batch: u64,
    /// Sources whose answers are not stored yet.
    pub sources: Vec<SourceEpoch>,
}

/// Why an answer gave no keys.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The source's fault.
    #[error("the answer's proof does not verify")]
    Refused,
    /// The disk's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Enrolment {
    /// Enrolment with sealed people in `vault`, blinded elements and verified answers under `state`.
    pub fn new(vault: Vault, state: &Path, cache: Cache) -> Enrolment {
        let (folder, received) = (state.join("elements"), Answers::new(state.join("received")));
        Enrolment { vault, folder, received, cache, recent: Mutex::default(), prepared: Mutex::default() }
    }

    /// Makes batches for all people of the snapshot who lack a key, in the cache or under way, at some of `sources`
    /// (ascending). A batch is persisted before anybody is told of it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn plan(
        &self,
        snapshot: &Snapshot<'_>,
        sources: &[SourceEpoch],
        pending: &[Pending],
        first: u64,
        spill: &Vault,
    ) -> io::Result<Vec<EnrolmentBatch>> {
        let lacking = self.cache.lacking(snapshot, sources, spill)?;
        let asked = self.asked(sources, pending, spill)?.distinct();
        // People in groups of equal sources: a batch names sources for all its people.
        let mut groups: BTreeMap<Vec<u16>, Vec<PersonId>> = BTreeMap::new();
        let mut batches = Vec::new();
        let mut create = |places: &[u16], people: &[PersonId]| -> io::Result<()> {
            let sources = places.iter().map(|place| sources[usize::from(*place)]).collect();
            batches.push(self.create(first + batches.len() as u64, people, sources)?);
            Ok(())
        };
        for lack in by_person(without(lacking, asked, |item| *item)) {
            let (person, places) = lack?;
            let group = groups.entry(places.clone()).or_default();
            group.push(person);
            if group.len() == BATCH_PEOPLE_MAX {
                create(&places, &std::mem::take(group))?;
            }
        }
        for (places, people) in groups.iter().filter(|(_, people)| !people.is_empty()) {
            create(places, people)?;
        }
        Ok(batches)
    }

    /// The blinded elements of a batch.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn elements(&self, batch: u64) -> io::Result<Vec<Element>> {
        let bytes = fs::read(self.elements_path(batch))?;
        Ok(bytes.as_chunks().0.to_vec())
    }

    /// Verifies a source's answer and stores the matching keys.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn accept(
        &self,
        context: BatchContext,
        key: &PublicKey,
        evaluated: &[Element],
        proof: &[[u8; 32]; 2],
    ) -> Result<(), AnswerError> {
        let batch = self.blinded(context.batch)?;
        let source = SourceEpoch { source: context.source, epoch: context.epoch };
        let prepared = self.prepared(source, key);
        let mut bytes = [0; 64];
        bytes.copy_from_slice(proof.as_flattened());
        let checked = Proof::from_bytes(&bytes).map_err(|_| AnswerError::Refused)?;
        let verified = verify(&prepared, &context, &batch, evaluated, &checked).map_err(|_| AnswerError::Refused)?;
        self.received.save(context.source, context.batch, evaluated, proof)?;
        let people = self.people(context.batch)?;
        let entries: Vec<_> = people.into_iter().zip(verified.finalize()).collect();
        Ok(self.cache.add(source, &entries)?)
    }

    /// Deletes batches and the answers to them.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn delete(&self, batches: &[EnrolmentBatch]) -> io::Result<()> {
        let names: Vec<String> = batches.iter().map(|batch| file_name(batch.batch)).collect();
        self.vault.delete(|name| names.iter().any(|of| name.starts_with(of)))?;
        for batch in batches {
            self.recent.lock().unwrap_or_else(PoisonError::into_inner).remove(&batch.batch);
            delete_whole(&self.elements_path(batch.batch))?;
        }
        sync_folder(&self.folder)?;
        let answers = |batch: &EnrolmentBatch| {
            let number = batch.batch;
            batch.sources.iter().map(move |source| (source.source, number)).collect::<Vec<_>>()
        };
        self.received.delete(batches.iter().flat_map(answers))
    }

    /// Whom batches under way ask these sources about, in the form of [`Cache::lacking`].
    fn asked(&self, sources: &[SourceEpoch], pending: &[Pending], spill: &Vault) -> io::Result<Sorted<ROW_BYTES>> {
        let mut asked = Sorter::new(spill, ASKED_MEMORY_BYTES);
        for batch in pending {
            let places = (0..).zip(sources).filter(|(_, source)| batch.sources.contains(source));
            let places: Vec<u16> = places.map(|(place, _)| place).collect();
            for person in self.people(batch.batch)? {
                places.iter().try_for_each(|place| asked.push(roster_row(person, *place)))?;
            }
        }
        asked.sorted()
    }

    fn create(&self, number: u64, people: &[PersonId], sources: Vec<SourceEpoch>) -> io::Result<EnrolmentBatch> {
        let seed = fresh()?;
        self.vault.write(&file_name(number), |out| {
            out.write_all(&seed)?;
            people.iter().try_for_each(|person| out.write_all(&person_bytes(*person)))
        })?;
        let blinded = make(&BatchSeed::from_bytes(seed), people)?;
        let bytes = blinded.sent().as_slice().as_flattened();
        fs::create_dir_all(&self.folder)?;
        write_whole(&self.elements_path(number), bytes)?;
        let count = blinded.sent().len() as u64;
        let elements = sha256(bytes);
        self.remember_first(number, blinded);
        Ok(EnrolmentBatch { batch: number, sources, count, elements })
    }

    fn blinded(&self, batch: u64) -> io::Result<Arc<BlindedBatch>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner).get(&batch).cloned();
        if let Some(batch) = recent {
            return Ok(batch);
        }
        let (seed, people) = self.load(batch)?;
        let blinded = Arc::new(make(&seed, &people)?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT_MAX {
            recent.pop_first();
        }
        recent.insert(batch, blinded.clone());
        Ok(blinded)
    }

    /// Keeps the first batches of a plan, which are needed first.
    fn remember_first(&self, number: u64, batch: BlindedBatch) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() < RECENT_MAX {
            recent.insert(number, Arc::new(batch));
        }
    }

    fn prepared(&self, source: SourceEpoch, key: &PublicKey) -> Arc<PreparedKey> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.entry(source).or_insert_with(|| Arc::new(PreparedKey::new(key.clone()))).clone()
    }

    fn people(&self, batch: u64) -> io::Result<Vec<PersonId>> {
        Ok(self.load(batch)?.1)
    }

    fn load(&self, batch: u64) -> io::Result<(BatchSeed, Vec<PersonId>)> {
        let damaged = || io::Error::other(format!("the sealed file of enrolment batch {batch} is damaged"));
        let words: Vec<[u8; PERSON_BYTES]> = self.vault.items(&file_name(batch))?.collect::<io::Result<_>>()?;
        let (seed, people) = words.split_first_chunk::<4>().ok_or_else(damaged)?;
        let seed: [u8; 32] = seed.as_flattened().try_into().map_err(|_| damaged())?;
        let people: io::Result<Vec<PersonId>> = people.iter().map(|item| person_of(item)).collect();
        Ok((BatchSeed::from_bytes(seed), people?))
    }

    fn elements_path(&self, batch: u64) -> PathBuf {
        self.folder.join(format!("{batch:010}.elements"))
    }
}

/// SHA-256 of what an `evaluation` entry binds: all evaluated elements, then the proof's 64 bytes.
pub fn answer_digest(evaluated: &[Element], proof: &[[u8; 32]; 2]) -> Digest {
    let mut bytes = evaluated.as_flattened().to_vec();
    bytes.extend(proof.as_flattened());
    sha256(&bytes)
}

fn make(seed: &BatchSeed, people: &[PersonId]) -> io::Result<BlindedBatch> {
    blind(seed, &inputs(people), padded_len(people.len())).map_err(io::Error::other)
}

/// Each person with the places of all its items, which are ascending.
fn by_person(
    items: impl Iterator<Item = io::Result<[u8; ROW_BYTES]>>,
) -> impl Iterator<Item = io::Result<(PersonId, Vec<u16>)>> {
    let mut items = items.map(|item| item.and_then(|item| Ok((person_of(&item)?, [item[8], item[9]])))).peekable();
    std::iter::from_fn(move || {
        let (person, place) = match items.next()? {
            Ok(first) => first,
            Err(error) => return Some(Err(error)),
        };
        let mut places = vec![u16::from_be_bytes(place)];
        while let Some(Ok((_, place))) = items.next_if(|item| matches!(item, Ok((same, _)) if *same == person)) {
            places.push(u16::from_be_bytes(place));
        }
        Some(Ok((person, places)))
    })
}

/// Blinded batches kept in memory, 2 MB each when full.
const RECENT_MAX: usize = 4;
/// Pairs of person and source held in memory while a plan is made.
const ASKED_MEMORY_BYTES: usize = 16 << 20;

/// Evaluated elements and the proof's two scalars.
pub type Answer = (Vec<Element>, [[u8; 32]; 2]);

/// Answers at rest, by the other party and the batch. A source answers the same batch with the same bytes again.
pub struct Answers {
    folder: PathBuf,
}

impl Answers {
    /// Answers in this folder.
    pub fn new(folder: PathBuf) -> Answers {
        Answers { folder }
    }

    /// A stored answer: evaluated elements and proof.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn load(&self, other: MemberNumber, batch: u64) -> io::Result<Option<Answer>> {
        let Some(bytes) = if_there(fs::read(self.path(other, batch)))? else { return Ok(None) };
        let elements = bytes.as_chunks::<32>().0;
        Ok(elements.split_last_chunk().map(|(evaluated, proof)| (evaluated.to_vec(), *proof)))
    }

    /// Stores an answer.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn save(
        &self,
        other: MemberNumber,
        batch: u64,
        evaluated: &[Element],
        proof: &[[u8; 32]; 2],
    ) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut bytes = evaluated.as_flattened().to_vec();
        bytes.extend(proof.as_flattened());
        write_whole(&self.path(other, batch), &bytes)
    }

    /// Deletes answers.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn delete(&self, answers: impl IntoIterator<Item = (MemberNumber, u64)>) -> io::Result<()> {
        answers.into_iter().try_for_each(|(other, batch)| delete_whole(&self.path(other, batch)))?;
        sync_folder(&self.folder)
    }

    fn path(&self, other: MemberNumber, batch: u64) -> PathBuf {
        self.folder.join(format!("{other}-{batch:010}.answer"))
    }
}
