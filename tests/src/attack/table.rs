//! Judges many changed logs at once, and counts them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    edits::{Change, Mutant},
    forger::By,
    genuine::Genuine,
    judges::{Found, Judges},
};

/// How many changed logs of each kind were found by what.
#[derive(Default)]
pub struct Table {
    counts: BTreeMap<(&'static str, By), BTreeMap<Found, usize>>,
    /// What nobody found, as it is described.
    pub missed: Vec<String>,
}

/// By what each mutant is found, in their order.
pub fn judge(genuine: &Genuine, mutants: &[Mutant]) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut found = vec![Found::Nobody; mutants.len()];
    thread::scope(|scope| {
        let judging = || {
            let (mut judges, mut found) = (Judges::of(genuine), Vec::new());
            while let place = next.fetch_add(1, Ordering::Relaxed)
                && let Some(mutant) = mutants.get(place)
            {
                found.push((place, judges.found(mutant, seen(mutant, genuine))));
            }
            found
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(judging)).collect();
        for (place, by) in running.into_iter().flat_map(|thread| thread.join().unwrap()) {
            found[place] = by;
        }
    });
    found
}

/// Members have seen the whole log, or as much as there was when a round was still open.
fn seen(mutant: &Mutant, genuine: &Genuine) -> usize {
    match mutant.change {
        Change::Entries(_, end) if mutant.by == By::Owner => end,
        _ => genuine.entries.len(),
    }
}

impl Table {
    /// Counts.
    pub fn count(&mut self, mutants: &[Mutant], found: &[Found]) {
        for (mutant, by) in mutants.iter().zip(found) {
            *self.counts.entry((mutant.kind, mutant.by)).or_default().entry(*by).or_default() += 1;
            if *by == Found::Nobody {
                self.missed.push(format!("{} by {:?}: {}", mutant.kind, mutant.by, mutant.what));
            }
        }
    }

    /// All that was judged.
    pub fn total(&self) -> usize {
        self.counts.values().flat_map(BTreeMap::values).sum()
    }

    fn sums(&self) -> BTreeMap<Found, usize> {
        let mut sums = BTreeMap::new();
        for (by, count) in self.counts.values().flatten() {
            *sums.entry(*by).or_default() += count;
        }
        sums
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, counts: &BTreeMap<Found, usize>| {
            write!(f, "{name:<44}{:>7}", counts.values().sum::<usize>())?;
            COLUMNS.iter().try_for_each(|(_, by)| write!(f, "{:>13}", counts.get(by).copied().unwrap_or(0)))?;
            writeln!(f)
        };
        write!(f, "{:<44}{:>7}", "change, and who made it", "all")?;
        COLUMNS.iter().try_for_each(|(name, _)| write!(f, "{name:>13}"))?;
        writeln!(f)?;
        for ((kind, by), counts) in &self.counts {
            row(f, &format!("{kind}, {}", name(*by)), counts)?;
        }
        row(f, "all", &self.sums())
    }
}

fn name(by: By) -> &'static str {
    match by {
        By::Stranger => "a stranger",
        By::Coordinator => "the coordinator",
        By::Owner => "its signer",
        By::Everybody => "everybody",
    }
}

const COLUMNS: [(&str, Found); 7] = [
    ("files", Found::Files),
    ("signatures", Found::Signatures),
    ("rules", Found::Rules),
    ("cosignatures", Found::Cosignatures),
    ("replay", Found::Replay),
    ("a member", Found::Member),
    ("nobody", Found::Nobody),
];
