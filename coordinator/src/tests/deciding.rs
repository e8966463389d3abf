use std::fs;

use wugan_protocol::{
    engine::{Command, Fact, Input, Offer},
    file::FileKey,
    hexes::{Digest, Hex},
    message::{FileReply, Message},
    party::MemberNumber,
    reason::Reason,
    statement::{Receipt, Statement},
};
use wugan_transport::rounds::Rounds;

use crate::{
    Job, Local,
    decide::{DecideDone, DecideTask},
    round::node,
    status::{Awaited, Phase, Why},
    testing::{self, Rig},
};

/// A round whose rows are closed with one owner's files, and the coordinator's folder.
pub(super) struct City {
    pub(super) rig: Rig,
    pub(super) owner: MemberNumber,
    pub(super) folder: tempfile::TempDir,
    bits: Vec<u8>,
    digest: Digest,
}

impl City {
    pub(super) fn new(body: impl Fn(usize) -> Vec<u8>) -> City {
        let mut rig = Rig::new();
        let owner = rig.member("water");
        rig.until_deciding(&[owner]);
        rig.bitmaps(owner);
        let matters = rig.policy().matters_of(owner).count();
        let rows = vec![20; matters];
        let (bits, digest) = testing::file(20 * matters as u64, rows, &body(20 * matters));
        City { rig, owner, folder: tempfile::tempdir().unwrap(), bits, digest }
    }

    pub(super) fn file(&self) -> FileKey {
        FileKey::Bits { owner: self.owner }
    }

    pub(super) fn round(&self) -> Digest {
        self.rig.ledger.round().unwrap().hash()
    }

    pub(super) fn rounds(&self) -> Rounds {
        Rounds::new(self.folder.path())
    }

    pub(super) fn offer(&self, ticket: u64) -> Offer {
        self.rig.offer(self.rig.servers().1, self.file(), self.digest, ticket)
    }

    fn announce(&mut self) -> Vec<Command<Job>> {
        let aggregator = self.rig.servers().1;
        self.rig.announce(aggregator, self.file(), self.digest)
    }

    /// What the shell does on `Keep`.
    fn keep(&self) {
        fs::create_dir_all(self.rounds().folder(self.round())).unwrap();
        fs::write(self.rounds().path(self.round(), self.file()), &self.bits).unwrap();
    }

    fn run(&mut self, task: &DecideTask) -> Vec<Command<Job>> {
        let done: DecideDone = task.run(&self.rounds());
        self.rig.feed(Input::Local(Local::Decided(done)))
    }

    /// Bits arrive and are decided.
    pub(super) fn decide(&mut self) -> Vec<Command<Job>> {
        let offer = self.offer(1);
        self.rig.feed(Input::File(offer));
        let commands = self.announce();
        assert!(kept(&commands, 1));
        self.keep();
        let task = task(&commands).unwrap();
        self.run(&task)
    }
}

fn kept(commands: &[Command<Job>], number: u64) -> bool {
    commands.iter().any(|command| matches!(command, Command::Keep { ticket, .. } if *ticket == number))
}

pub(super) fn refused(commands: &[Command<Job>]) -> Vec<(u64, Reason)> {
    let refused = commands.iter().filter_map(|command| match command {
        Command::Refuse { ticket, reason } => Some((*ticket, *reason)),
        _ => None,
    });
    refused.collect()
}

fn task(commands: &[Command<Job>]) -> Option<DecideTask> {
    commands.iter().find_map(|command| match command {
        Command::Local(Job::Decide(task)) => Some((**task).clone()),
        _ => None,
    })
}

pub(super) fn sent(commands: &[Command<Job>]) -> Vec<MemberNumber> {
    let sent = commands.iter().filter_map(|command| match command {
        Command::SendFile { to, file: FileKey::Decisions { owner }, .. } if *to == node(*owner) => Some(*owner),
        _ => None,
    });
    sent.collect()
}

pub(super) fn zeros(rows: usize) -> Vec<u8> {
    vec![0; rows]
}

#[test]
fn bits_are_held_until_announced_then_kept_decided_and_logged() {
    let mut city = City::new(zeros);
    let offer = city.offer(1);
    let commands = city.rig.feed(Input::File(offer));
    assert!(!kept(&commands, 1) && refused(&commands).is_empty());
    let commands = city.announce();
    let keep = commands.iter().position(|command| matches!(command, Command::Keep { ticket: 1, .. })).unwrap();
    let work = commands.iter().position(|command| matches!(command, Command::Local(Job::Decide(_)))).unwrap();
    let seed = commands.iter().position(
        |command| matches!(command, Command::Commit(facts) if matches!(&facts[..], [Fact::Set(name, _)] if name.starts_with("seed/"))),
    );
    assert!(keep < work && seed.unwrap() < work);
    assert!(task(&city.rig.tick()).is_none(), "it runs already");
    city.keep();
    let task = task(&commands).unwrap();
    city.run(&task);
    let round = city.rig.ledger.round().unwrap();
    assert!(round.ended() && !round.abandoned());
    let totals = round.totals(city.owner).unwrap();
    assert_eq!(totals.digest, round.announcement(FileKey::Decisions { owner: city.owner }).unwrap().digest);
    let unmatched: Vec<Option<u64>> = totals.matters[0].counts.iter().map(|count| count.about).collect();
    assert_eq!(unmatched, [None, Some(20), None, None]);
}

#[test]
fn a_file_before_or_after_its_job_starts_is_never_waited_for_in_vain() {
    let mut city = City::new(zeros);
    let first = task(&city.announce()).unwrap();
    let done = first.run(&city.rounds());
    let offer = city.offer(5);
    assert!(kept(&city.rig.feed(Input::File(offer)), 5));
    city.keep();
    let commands = city.rig.feed(Input::Local(Local::Decided(done)));
    let again = task(&commands).expect("the file came while the job looked for it");
    city.run(&again);
    assert!(city.rig.ledger.round().unwrap().ended());

    let mut city = City::new(zeros);
    let first = task(&city.announce()).unwrap();
    assert!(task(&city.run(&first)).is_none());
    city.rig.now += 1_000;
    assert!(task(&city.rig.tick()).is_none(), "nothing to do before the file comes");
    let offer = city.offer(6);
    assert!(task(&city.rig.feed(Input::File(offer))).is_some());
}

#[test]
fn other_files_are_refused() {
    let mut city = City::new(zeros);
    let (matcher, aggregator) = city.rig.servers();
    let bitmap = FileKey::Bitmap { owner: city.owner, class: wugan_protocol::policy::Class::WeakPositive };
    let feed = |city: &mut City, offer| refused(&city.rig.feed(Input::File(offer)));
    let offer = city.rig.offer(matcher, bitmap, Hex([1; 32]), 1);
    assert_eq!(feed(&mut city, offer), [(1, Reason::NotAnnounced)]);
    let offer = city.rig.offer(matcher, city.file(), city.digest, 2);
    assert_eq!(feed(&mut city, offer), [(2, Reason::NotAllowed)]);
    let tax = city.rig.member("tax");
    let offer = city.rig.offer(aggregator, FileKey::Bits { owner: tax }, city.digest, 3);
    assert_eq!(feed(&mut city, offer), [(3, Reason::NotAllowed)], "no owner");
    let offer = Offer { digest: Hex([7; 32]), ..city.offer(4) };
    assert_eq!(feed(&mut city, offer), [(4, Reason::DigestDiffers)]);
    let early = city.offer(5);
    city.rig.feed(Input::File(early.clone()));
    assert_eq!(feed(&mut city, Offer { ticket: 6, ..early }), [(5, Reason::Repeated)], "one is held, not many");
    let other = city.rig.offer(aggregator, city.file(), Hex([8; 32]), 7);
    assert_eq!(feed(&mut city, other), [(6, Reason::Repeated)]);
    assert_eq!(refused(&city.announce()), [(7, Reason::DigestDiffers)], "the log announces another");
}

#[test]
fn bits_that_no_row_can_have_are_refused_for_good() {
    let mut city = City::new(|rows| vec![0xff; rows]);
    let commands = city.decide();
    let file = city.file();
    assert!(commands.iter().any(|command| matches!(command, Command::Discard { file: it, .. } if *it == file)));
    let last = wugan_protocol::envelope::Unverified::read(city.rig.log.last().unwrap()).unwrap();
    let key = city.rig.ledger.federation().key(city.rig.ledger.federation().coordinator()).unwrap();
    let refusal = last.verify(&key).unwrap();
    let Statement::Refusal { reason, .. } = refusal.body().statement else { panic!() };
    assert_eq!(reason, Reason::BadBits);
    for restart in [false, true] {
        if restart {
            city.rig.restart();
            let aggregator = city.rig.servers().1;
            city.rig.connect(aggregator);
        }
        assert!(task(&city.rig.tick()).is_none());
        let offer = city.offer(9);
        assert_eq!(refused(&city.rig.feed(Input::File(offer))), [(9, Reason::BadBits)]);
        let waits = city.rig.engine.status(city.rig.now).round.unwrap().waits_for;
        assert_eq!(waits.len(), 1);
        assert_eq!((&waits[0].what, waits[0].why), (&Awaited::Bits { owner: "water".into() }, Why::Refused {}));
    }
}

#[test]
fn decisions_are_sent_until_the_owner_has_them() {
    let mut city = City::new(zeros);
    let owner = node(city.owner);
    assert!(sent(&city.decide()).is_empty(), "the owner is not there");
    let status = city.rig.engine.status(city.rig.now);
    assert_eq!(status.phase, Phase::Closed);
    assert_eq!(status.round.unwrap().waits_for[0].what, Awaited::Delivery {});
    assert_eq!(sent(&city.rig.connect(owner)), [city.owner]);
    assert!(sent(&city.rig.tick()).is_empty(), "it is on its way");
    city.rig.feed(Input::Down(owner));
    assert_eq!(sent(&city.rig.connect(owner)), [city.owner], "it was cut off");

    let (round, file) = (city.round(), FileKey::Decisions { owner: city.owner });
    let reply = |rig: &mut Rig, reply| rig.feed(Input::Sent { to: owner, round, file, reply });
    let commands = reply(&mut city.rig, Some(FileReply::Refused(Reason::NoSpace.code())));
    assert!(sent(&commands).is_empty());
    city.rig.now += 60;
    assert_eq!(sent(&city.rig.tick()), [city.owner], "it may have space now");
    city.rig.restart();
    assert_eq!(sent(&city.rig.connect(owner)), [city.owner], "also after a restart");
    reply(&mut city.rig, Some(FileReply::Kept));
    assert!(sent(&city.rig.tick()).is_empty(), "it writes its table");
    city.rig.now += 60;
    assert_eq!(sent(&city.rig.tick()), [city.owner], "kept is not yet written down");
    let receipt = city.rig.line(owner, Statement::Receipt(Receipt::Decisions {}), true);
    city.rig.feed(Input::Message(owner, Message::Submit { line: receipt }));
    assert!(city.rig.engine.status(city.rig.now).round.unwrap().waits_for.is_empty());
    city.rig.restart();
    assert!(sent(&city.rig.connect(owner)).is_empty());
}

#[test]
fn a_receipt_ends_the_delivery_also_after_the_next_round_began() {
    let mut city = City::new(zeros);
    city.decide();
    let owner = node(city.owner);
    let receipt = city.rig.line(owner, Statement::Receipt(Receipt::Decisions {}), true);
    city.rig.open("2026-12");
    assert_eq!(sent(&city.rig.connect(owner)), [city.owner], "late, but still");
    city.rig.feed(Input::Message(owner, Message::Submit { line: receipt }));
    city.rig.restart();
    assert!(sent(&city.rig.connect(owner)).is_empty());
}

#[test]
fn a_restart_at_any_step_decides_the_same() {
    let whole = {
        let mut city = City::new(zeros);
        city.decide();
        city.rig.ledger.round().unwrap().totals(city.owner).unwrap().clone()
    };
    let mut city = City::new(zeros);
    let back = |city: &mut City| {
        city.rig.restart();
        let aggregator = city.rig.servers().1;
        city.rig.connect(aggregator)
    };
    back(&mut city);
    city.announce();
    let before = task(&back(&mut city)).unwrap();
    assert!(task(&city.run(&before)).is_none(), "the file is not there");
    let offer = city.offer(2);
    let commands = city.rig.feed(Input::File(offer));
    assert!(kept(&commands, 2));
    city.keep();
    let after = task(&back(&mut city)).unwrap();
    assert_eq!(after.salt, before.salt, "the seed is durable");
    city.run(&after);
    let round = city.rig.ledger.round().unwrap();
    assert!(round.ended());
    let totals = round.totals(city.owner).unwrap();
    assert_eq!(totals.matters, whole.matters);
    assert_eq!(totals.digest, whole.digest);
    assert!(task(&back(&mut city)).is_none());
    let offer = city.offer(3);
    assert!(kept(&city.rig.feed(Input::File(offer)), 3), "its sender did not get the first answer");
}
