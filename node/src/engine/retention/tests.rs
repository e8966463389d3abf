//! The engine of a department that is source and owner, driven by hand: jobs are answered, never run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use wugan_protocol::{
    engine::{Engine as _, Input, Offer},
    envelope::Unverified,
    file::FileKey,
    hexes::{Digest, sha256},
    message::Message,
    oprf::{BatchContext, Element},
    party::Party,
    reason::Reason,
    statement::{EnrolmentBatch, Evaluation, SourceEpoch, Statement},
    testing::World,
};
use wugan_transport::home::Stored;

use super::*;
use crate::{
    engine::Local,
    enrolment::answer_digest,
    work::{Answered, Done, Expired},
};

struct Rig {
    world: World,
    engine: NodeEngine,
    stored: Stored,
    jobs: Vec<Job>,
    refused: Vec<Reason>,
}

impl Rig {
    fn new() -> Rig {
        let world = World::new();
        let announcement = world.lines.iter().skip(1).find(|line| Unverified::read(line).unwrap().claimed().0 == ME);
        let stored = Stored { own: vec![announcement.unwrap().clone()], ..Stored::default() };
        let engine = engine(&world, &stored);
        let mut rig = Rig { world, engine, stored, jobs: Vec::new(), refused: Vec::new() };
        rig.feed(Input::Up(rig.world.federation.coordinator()));
        rig
    }

    /// What it keeps besides the last checkpoint.
    fn facts(&self) -> BTreeMap<String, Vec<u8>> {
        let mut facts = self.stored.facts.clone();
        facts.remove("checkpoint");
        facts
    }

    /// The program is killed and started again.
    fn restart(&mut self) {
        self.engine = engine(&self.world, &self.stored);
        self.jobs.clear();
        self.feed(Input::Up(self.world.federation.coordinator()));
    }

    /// Hands an input to the engine, and then the log as far as it has grown.
    fn feed(&mut self, input: Input<Local>) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let commands = self.engine.handle(input, self.world.now);
            commands.into_iter().for_each(|command| self.carry_out(command));
            if inputs.is_empty() {
                let news = self.world.news(self.stored.log.len()).into_iter().flatten();
                let coordinator = self.world.federation.coordinator();
                inputs.extend(news.map(|message| Input::Message(coordinator, message)));
            }
        }
    }

    fn carry_out(&mut self, command: Command<Job>) {
        match command {
            Command::Commit(facts) => facts.into_iter().for_each(|fact| self.commit(fact)),
            Command::Send(_, Message::Submit { line }) if !self.world.lines.contains(&line) => {
                self.world.append(&line).unwrap();
            }
            Command::Local(job) => self.jobs.push(job),
            Command::Refuse { reason, .. } => self.refused.push(reason),
            Command::Stop(text) => panic!("{text}"),
            _ => {}
        }
    }

    fn commit(&mut self, fact: Fact) {
        match fact {
            Fact::Log(_, line) => self.stored.log.push(line),
            Fact::Own(_, line) => self.stored.own.push(line),
            Fact::Set(name, value) => drop(self.stored.facts.insert(name, value)),
            Fact::Unset(name) => drop(self.stored.facts.remove(&name)),
        }
    }

    fn tick(&mut self) {
        self.feed(Input::Tick);
    }

    fn done(&mut self, done: Done) {
        self.feed(Input::Local(Local::Done(done)));
    }

    fn later(&mut self, days: u64) {
        self.world.now += days * SECONDS_PER_DAY;
        self.tick();
    }

    fn me(&self) -> Party {
        self.world.node(ME)
    }

    fn source(&self, id: &str) -> SourceEpoch {
        SourceEpoch { source: self.world.node(id).member, epoch: 1 }
    }

    /// Somebody else states something, and the node reads it.
    fn say(&mut self, id: &str, statement: Statement) {
        self.world.state(self.world.node(id), statement);
        self.tick();
    }

    /// Opens a round, reads the roster, and plans so many batches for police and health; the number of the first.
    fn prepare(&mut self, month: &str, batches: u64) -> (Digest, u64) {
        let round = self.world.open_round(month);
        self.tick();
        self.done(Done::Snapshot { round, people: 1 });
        self.done(Done::Prepared { round, evaluated: 0 });
        let plan = self.jobs.iter().find_map(|job| match job {
            Job::Plan { round: of, first, .. } if *of == round => Some(*first),
            _ => None,
        });
        let first = plan.unwrap();
        let sources = vec![self.source("police"), self.source("health")];
        let batch = |batch| EnrolmentBatch { batch, sources: sources.clone(), count: 256, elements: sha256(&[]) };
        self.done(Done::Planned { round, batches: (first..first + batches).map(batch).collect() });
        (round, first)
    }

    fn abandon(&mut self) {
        let coordinator = self.world.federation.coordinator();
        self.world.state(coordinator, Statement::RoundAbandoned { reason: Reason::Superseded });
        self.tick();
    }

    fn batch_entry(&self, owner: Party) -> Digest {
        self.world.ledger.batch(owner.member, 0).unwrap().entry
    }

    /// Another owner's batch reaches this source.
    fn ask(&mut self) {
        let owner = self.world.node("civil").member;
        let message = Message::Batch { owner, batch: 0, sources: vec![self.me().member], blinded: elements() };
        self.feed(Input::Message(self.world.federation.coordinator(), message));
    }

    /// Another owner's batch is logged, and answered by this source.
    fn serve(&mut self) {
        let (owner, me) = (self.world.node("civil"), self.source(ME));
        let elements = sha256(elements().as_flattened());
        let batch = EnrolmentBatch { batch: 0, sources: vec![me], count: 256, elements };
        self.say("civil", Statement::EnrolmentBatch(batch));
        self.ask();
        let asked = |job: &Job| matches!(job, Job::Evaluate { context, .. } if context.owner == owner.member);
        assert!(self.jobs.iter().any(asked));
        let federation = self.world.federation.hash().0;
        let context = BatchContext { federation, source: me.source, owner: owner.member, epoch: 1, batch: 0 };
        let entry = self.batch_entry(owner);
        let answer = Answered { context, entry, evaluated: self::elements(), proof: [[0; 32]; 2] };
        self.done(Done::Evaluated(Box::new(answer)));
    }

    /// The deletion asked for last, taken from the jobs.
    fn deletion(&mut self) -> Option<Expired> {
        let place = self.jobs.iter().position(|job| matches!(job, Job::Delete(_)))?;
        match self.jobs.remove(place) {
            Job::Delete(expired) => Some(expired),
            _ => None,
        }
    }

    fn said(&self) -> Vec<Kept> {
        let said = self.world.statements().into_iter().filter_map(|statement| match statement {
            Statement::Deletion { of } => Some(of),
            _ => None,
        });
        said.collect()
    }

    fn last_refusal(&self) -> Option<Reason> {
        let mut refusals = self.world.statements().into_iter().filter_map(|statement| match statement {
            Statement::Refusal { reason, .. } => Some(reason),
            _ => None,
        });
        refusals.next_back()
    }
}

fn engine(world: &World, stored: &Stored) -> NodeEngine {
    let me = world.node(ME);
    NodeEngine::restore(world.federation.clone(), me.member, world.signers(me), stored.clone(), vec![1]).unwrap()
}

fn elements() -> Vec<Element> {
    vec![[7; 32]; 256]
}

const ME: &str = "bureau";

#[test]
fn files_batches_and_answers_go_one_after_another_and_only_budgets_stay() {
    let mut rig = Rig::new();
    let (round, _) = rig.prepare("2026-11", 1);
    rig.serve();
    let police = rig.world.node("police").member;
    rig.done(Done::Enrolled { batch: 0, source: police });
    let entry = rig.batch_entry(rig.me());
    rig.say("health", Statement::Refusal { entry, reason: Reason::UnknownEpoch });
    rig.later(41);
    assert!(rig.deletion().is_none(), "an open round keeps everything");
    rig.abandon();

    rig.tick();
    assert!(matches!(rig.deletion(), Some(Expired::Files(of)) if of == round));
    rig.tick();
    assert!(rig.deletion().is_none() && rig.said().is_empty(), "one at a time, and nothing is said before");
    rig.done(Done::Deleted);
    rig.tick();
    let Some(Expired::Batches(batches)) = rig.deletion() else { panic!() };
    assert_eq!(batches.len(), 1);
    rig.done(Done::Deleted);
    rig.tick();
    let Some(Expired::Answers(answers)) = rig.deletion() else { panic!() };
    assert_eq!(answers, [(rig.world.node("civil").member, 0)]);
    rig.done(Done::Deleted);
    rig.later(1_000);
    assert!(rig.deletion().is_none());
    assert_eq!(rig.said(), [Kept::Files, Kept::Batches, Kept::Answers]);
    let left: Vec<String> = rig.facts().into_keys().collect();
    assert!(matches!(&left[..], [charge] if charge.starts_with("charged/")), "{left:?}");

    let (_, first) = rig.prepare("2026-12", 0);
    assert_eq!(first, 1, "numbers go on");
}

#[test]
fn an_answer_that_is_deleted_is_not_given_again() {
    for restart in [false, true] {
        let mut rig = Rig::new();
        rig.prepare("2026-11", 0);
        rig.serve();
        rig.abandon();
        rig.later(41);
        rig.done(Done::Deleted);
        rig.tick();
        assert_eq!(rig.said(), [Kept::Files]);
        rig.ask();
        assert_eq!(rig.last_refusal(), Some(Reason::Deleted), "also while it is being deleted");
        rig.done(Done::Deleted);
        let charged = rig.facts();
        if restart {
            rig.restart();
        }
        rig.jobs.clear();
        rig.ask();
        assert!(!rig.jobs.iter().any(|job| matches!(job, Job::Evaluate { .. })));
        assert_eq!(rig.facts(), charged, "charged once");
    }
}

#[test]
fn a_restart_before_a_deletion_is_said_deletes_again_and_says_it_once() {
    let mut rig = Rig::new();
    let (round, _) = rig.prepare("2026-11", 0);
    rig.abandon();
    rig.later(41);
    assert!(rig.deletion().is_some());
    rig.restart();
    rig.tick();
    assert!(matches!(rig.deletion(), Some(Expired::Files(of)) if of == round));
    rig.done(Done::Deleted);
    rig.restart();
    rig.tick();
    assert!(rig.deletion().is_none());
    assert_eq!(rig.said(), [Kept::Files]);
    assert!(rig.facts().is_empty(), "the empty plan too");
}

#[test]
fn a_batch_waits_for_the_last_answer_and_is_kept_as_long_after_it() {
    let mut rig = Rig::new();
    rig.prepare("2026-11", 2);
    let [police, health] = ["police", "health"].map(|id| rig.world.node(id).member);
    rig.done(Done::Enrolled { batch: 0, source: police });
    rig.done(Done::Enrolled { batch: 0, source: health });
    rig.done(Done::Enrolled { batch: 1, source: police });
    rig.abandon();
    rig.later(41);
    assert!(matches!(rig.deletion(), Some(Expired::Files(_))));
    rig.done(Done::Deleted);
    rig.later(100);
    assert!(rig.deletion().is_none(), "one answer is still to come");
    rig.done(Done::Enrolled { batch: 1, source: health });
    rig.restart();
    rig.later(40);
    assert!(rig.deletion().is_none());
    rig.later(1);
    assert!(matches!(rig.deletion(), Some(Expired::Batches(batches)) if batches.len() == 2));
}

#[test]
fn decisions_of_a_deleted_round_are_refused() {
    let mut rig = Rig::new();
    let (round, _) = rig.prepare("2026-11", 0);
    let (coordinator, file) = (rig.world.federation.coordinator(), FileKey::Decisions { owner: rig.me().member });
    let digest = sha256(b"decisions");
    let statement = Statement::Announcement(wugan_protocol::statement::Announcement { file, count: 256, digest });
    let (signed, _) = rig.world.try_state(coordinator, statement);
    let offer = |ticket| Offer { ticket, from: coordinator, line: signed.bytes().to_vec(), digest };
    rig.feed(Input::File(offer(1)));
    assert!(rig.refused.is_empty());
    rig.abandon();
    rig.later(41);
    assert!(rig.deletion().is_none(), "the table is being written");
    rig.done(Done::NotDelivered { round, reason: Reason::CountDiffers });
    rig.tick();
    assert!(rig.deletion().is_some());
    rig.feed(Input::File(offer(2)));
    assert_eq!(rig.refused.last(), Some(&Reason::Deleted));
}

#[test]
fn an_answer_that_the_log_does_not_show_is_not_deleted() {
    let mut rig = Rig::new();
    rig.prepare("2026-11", 0);
    rig.serve();
    let (owner, me) = (rig.world.node("civil").member, rig.me().member);
    let logged = rig.world.ledger.batch(owner, 0).unwrap().answers.get(&me).copied();
    assert_eq!(logged, Some(answer_digest(&elements(), &[[0; 32]; 2])));
    let shown = |statement: &Statement| matches!(statement, Statement::Evaluation(Evaluation { owner: of, .. }) if *of == owner);
    assert!(rig.world.statements().iter().any(shown));
    // A copy of the log without that entry: the node submitted it, and has not seen it.
    let place = rig.world.statements().iter().position(shown).unwrap() + 1;
    rig.stored.log.truncate(place);
    rig.stored.facts.remove("checkpoint");
    rig.engine = engine(&rig.world, &rig.stored);
    let mut serving = super::super::serving::Serving::restore(&rig.stored.facts, vec![1]).unwrap();
    assert!(serving.take_expired(u64::MAX, None, me, rig.engine.member().ledger()).is_none());
    assert!(serving.take_expired(u64::MAX, None, me, &rig.world.ledger).is_some());
}
