//! Nodes that announce what does not follow from their people, that lost what they must keep, or that defer whom they need
//! not.

use std::{collections::BTreeSet, fs, io::Write as _};

use wugan_audit::finding::Rule;
use wugan_keys::seal::SealedWriter;
use wugan_protocol::{at_rest::SEALED, file::FileKey, party::Role};
use wugan_tests::sim::Chance;

use crate::city::{City, Plan, Tally, flipped, with};

#[test]
fn a_file_that_does_not_follow_from_a_nodes_people_is_found() {
    let city = City::new(&Plan { seed: 36, people: 60, rounds: 1, away: 0, days: 0 });
    let (mut tally, mut chance, round) = (Tally::default(), Chance::new(3), city.round().to_string());
    for announcement in city.announcements().into_iter().filter(|made| made.file.maker() == Role::Node) {
        let file = announcement.file;
        let (id, kind) = match file {
            FileKey::Pool { channel, .. } => (source(&city, channel), "tag or padding of a pool"),
            FileKey::Records { owner, .. } => (member(&city, owner), "record"),
            _ => (member(&city, file.owner().unwrap()), "row"),
        };
        let genuine = fs::read(city.home(&id).join("rounds").join(&round).join(file.name())).unwrap();
        for from in [0, 40, genuine.len().saturating_sub(1)] {
            let (changed, _) = flipped(&genuine, from.min(genuine.len() - 1), &mut chance);
            let findings = city.found_by_node(&city.announcing(file, &changed), &id);
            tally.found(kind, &findings, &[(Rule::FileFalse, file.name())]);
        }
    }
    tally.end(300);
}

#[test]
fn a_sealed_file_that_was_changed_is_found() {
    let city = City::new(&Plan { seed: 2, people: 60, rounds: 1, away: 0, days: 0 });
    let (mut tally, mut chance, log) = (Tally::default(), Chance::new(4), city.log());
    for id in city.nodes() {
        let folder = city.home(&id).join(SEALED);
        for name in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
            let path = folder.join(&name);
            let genuine = fs::read(&path).unwrap();
            let (changed, _) = flipped(&genuine, 0, &mut chance);
            let shorter = &genuine[..chance.below(genuine.len() as u64) as usize];
            for (kind, bytes) in [("a bit", &changed[..]), ("cut short", shorter)] {
                let findings = with(&path, Some(bytes), || city.found_by_node(&log, &id));
                assert!(findings.iter().all(|found| found.rule == Rule::SealedDamaged), "{kind} of {name}");
                let damaged = (Rule::SealedDamaged, format!("{SEALED}/{name}"));
                tally.found(kind, &findings[..1], &[damaged]);
            }
            let findings = with(&path, None, || city.found_by_node(&log, &id));
            tally.found("thrown away", &findings[..1], &[(Rule::SealedMissing, format!("{SEALED}/{name}"))]);
        }
        for segment in fs::read_dir(city.home(&id).join("cache")).unwrap().map(|entry| entry.unwrap().path()) {
            let findings = with(&segment, None, || city.found_by_node(&log, &id));
            assert!(findings.iter().all(|found| found.rule == Rule::KeyMissing), "{findings:?}");
            tally.found("keys lost", &findings[..1], &[(Rule::KeyMissing, findings[0].detail.to_string())]);
        }
    }
    tally.end(100);
}

/// The owner seals a row map without one person who was enrolled the month before, as if it had made its files so.
#[test]
fn an_owner_that_defers_somebody_who_was_enrolled_is_found() {
    let city = City::new(&Plan { seed: 2, people: 60, rounds: 2, away: 0, days: 3 });
    let (mut tally, log) = (Tally::default(), city.log());
    let policy = city.genuine.federation.policy();
    for id in policy.owners().map(|owner| policy.member_id(owner).to_owned()) {
        city.write_facts(&id, |_, _| {});
        let name = format!("rows-{}", city.round());
        let map = city.unsealed(&id, &name);
        let rows = map.as_chunks::<14>().0;
        let enrolled_before = city.unsealed(&id, &format!("rows-{}", city.round_of(city.months[0])));
        let people: BTreeSet<&[u8]> = enrolled_before.as_chunks::<14>().0.iter().map(|row| &row[..8]).collect();
        for person in people.into_iter().filter(|person| rows.iter().any(|row| row[..8] == **person)).step_by(4) {
            let mut sealed = SealedWriter::new(Vec::new(), &city.storage(&id).bulk_key(SEALED)).unwrap();
            rows.iter().filter(|row| row[..8] != *person).for_each(|row| sealed.write_all(row).unwrap());
            let path = city.home(&id).join(SEALED).join(&name);
            let findings = with(&path, Some(&sealed.finish().unwrap()), || city.found_by_node(&log, &id));
            let deferred = (Rule::DeferredEnrolled, "1".to_owned());
            tally.found("deferred", &findings, &[deferred, (Rule::RowMapFalse, name.clone())]);
        }
    }
    tally.end(10);
}

fn member(city: &City, member: u16) -> String {
    city.genuine.federation.policy().member_id(member).to_owned()
}

fn source(city: &City, channel: u16) -> String {
    member(city, city.genuine.federation.policy().channel(channel).unwrap().source)
}
