//! An owner's node from its staff's question to the answer, driven by hand: jobs are answered, never run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wugan_protocol::{
    disclosure::Answer,
    engine::{Engine as _, Input},
    envelope::Unverified,
    file::FileKey,
    hexes::sha256,
    ledger::row_files,
    party::{MemberNumber, Party},
    policy::{Class, Decision},
    statement::{DecisionCount, MatterTotals, Receipt, Totals},
    testing::World,
};
use wugan_transport::home::Stored;

use super::*;
use crate::{
    engine::Local,
    work::{Done, Job},
};

const ME: &str = "civil";
/// `relief`, civil affairs' matter.
const MATTER: u16 = 3;
const ROW: u32 = 41;

/// Totals of an owner's matters, all of them too small to be told.
fn matters_of(world: &World, owner: MemberNumber) -> Vec<MatterTotals> {
    let counts = Decision::ALL.map(|decision| DecisionCount { decision, about: None }).to_vec();
    let policy = world.policy();
    policy.matters_of(owner).map(|matter| MatterTotals { matter: matter.number, counts: counts.clone() }).collect()
}

struct Rig {
    world: World,
    engine: NodeEngine,
    stored: Stored,
    jobs: Vec<Job>,
    questions: Vec<(Digest, Opening)>,
    answers: Vec<Response>,
    cut: Vec<Party>,
}

impl Rig {
    /// After a round in which the node has its decisions.
    fn new() -> Rig {
        let mut world = World::new();
        let round = world.open_round("2026-11");
        world.list(&(1..=10).collect::<Vec<u16>>());
        let (me, coordinator) = (world.node(ME), world.federation.coordinator());
        let (matcher, aggregator, owner) = (world.federation.matcher(), world.federation.aggregator(), me.member);
        let files = world.ledger.open_round().unwrap().record_files(owner);
        files.into_iter().chain(row_files(owner)).for_each(|file| drop(world.announce(me, file, 1, b"file")));
        world.state(matcher, Statement::Receipt(Receipt::Records { owner }));
        world.state(aggregator, Statement::Receipt(Receipt::Rows { owner }));
        Class::ALL
            .into_iter()
            .for_each(|class| drop(world.announce(matcher, FileKey::Bitmap { owner, class }, 1, b"b")));
        world.announce(aggregator, FileKey::Bits { owner }, 1, b"bits");
        world.announce(coordinator, FileKey::Decisions { owner }, 1, b"decisions");
        world.state(coordinator, Statement::RowsClosed {});
        let matters = matters_of(&world, owner);
        world.state(coordinator, Statement::Decisions(Totals { owner, digest: sha256(b"decisions"), matters }));
        world.state(coordinator, Statement::RoundClosed {});
        let own = world.lines.iter().skip(1).filter(|line| Unverified::read(line).unwrap().claimed().0 == ME);
        let own = own.cloned().collect();
        let opened = (format!("opened/{round}"), world.now.to_le_bytes().to_vec());
        let facts = [opened, (format!("delivered/{round}"), Vec::new())].into();
        let stored = Stored { log: world.lines.clone(), own, facts };
        let engine = engine(&world, &stored);
        let (jobs, questions, answers, cut) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut rig = Rig { world, engine, stored, jobs, questions, answers, cut };
        rig.connect();
        rig
    }

    fn connect(&mut self) {
        self.feed(Input::Up(self.world.federation.coordinator()));
        self.feed(Input::Up(self.world.federation.aggregator()));
    }

    fn restart(&mut self) {
        self.engine = engine(&self.world, &self.stored);
        self.jobs.clear();
        self.connect();
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
            Command::Commit(facts) => facts.into_iter().for_each(|fact| match fact {
                Fact::Log(_, line) => self.stored.log.push(line),
                Fact::Own(_, line) => self.stored.own.push(line),
                Fact::Set(name, value) => drop(self.stored.facts.insert(name, value)),
                Fact::Unset(name) => drop(self.stored.facts.remove(&name)),
            }),
            Command::Send(_, Message::Submit { line }) if !self.world.lines.contains(&line) => {
                self.world.append(&line).unwrap();
            }
            Command::Send(to, Message::Question { request, opening }) => {
                assert_eq!(to, [self.world.federation.aggregator()]);
                self.questions.push((Hex(request), opening));
            }
            Command::Local(job) => self.jobs.push(job),
            Command::Answer(_, line) => self.answers.push(serde_json::from_str(&line).unwrap()),
            Command::Disconnect(party, _) => self.cut.push(party),
            Command::Stop(text) => panic!("{text}"),
            _ => {}
        }
    }

    fn done(&mut self, done: Done) {
        self.feed(Input::Local(Local::Done(done)));
    }

    fn later(&mut self, seconds: u64) {
        self.world.now += seconds;
        self.feed(Input::Tick);
    }

    /// The staff asks, and the row is found.
    fn ask(&mut self) -> Digest {
        self.feed(Input::Local(Local::Admin(Ticket(1), question("110105 19491231 002x"))));
        let Some(Job::FindRow(ticket, find)) = self.jobs.pop() else { panic!("{:?}", self.answers) };
        assert_eq!((find.place, find.asked.as_slice()), (0, &[][..]));
        let found = FoundRow { opening: opening(), class: Class::StrongNegative, note: sha256(b"note") };
        self.done(Done::RowFound { ticket, found: Ok(found) });
        let Some(Response::Asked { request, left: 1, .. }) = self.answers.last() else { panic!("{:?}", self.answers) };
        *request
    }

    fn approve(&mut self, request: Digest) {
        for member in ["police", "health"] {
            let member = self.world.node(member);
            self.world.state(member, Statement::Approval { request });
        }
        self.feed(Input::Tick);
    }

    /// The aggregator logs its answer.
    fn log_answer(&mut self, request: Digest, answer: &Answer) -> Digest {
        let aggregator = self.world.federation.aggregator();
        let statement = Statement::Disclosure { request, answer: answer.digest(request) };
        let entry = self.world.state(aggregator, statement).hash();
        self.feed(Input::Tick);
        entry
    }

    fn reply(&mut self, from: Party, request: Digest, reply: DisclosureReply) {
        self.feed(Input::Message(from, Message::Disclosed { request: request.0, reply }));
    }

    fn told(&mut self, request: Digest, answer: &Answer) {
        let aggregator = self.world.federation.aggregator();
        self.reply(aggregator, request, DisclosureReply::Told(answer.clone()));
    }

    /// The answer that is to be written down, taken from the jobs.
    fn written_down(&mut self) -> Option<WriteDisclosure> {
        match self.jobs.pop() {
            Some(Job::WriteDisclosure(told)) => Some(*told),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    fn refusals(&self) -> Vec<(Digest, Reason)> {
        let refusals = self.world.statements().into_iter().filter_map(|statement| match statement {
            Statement::Refusal { entry, reason } => Some((entry, reason)),
            _ => None,
        });
        refusals.collect()
    }
}

fn engine(world: &World, stored: &Stored) -> NodeEngine {
    let me = world.node(ME);
    NodeEngine::restore(world.federation.clone(), me.member, world.signers(me), stored.clone(), vec![1]).unwrap()
}

fn question(person: &str) -> Request {
    Request::Disclose {
        month: "2026-11".parse().unwrap(),
        person: Private(person.into()),
        matter: "relief".into(),
        reason: DisclosureReason::Correction,
        note: Private("a reason".into()),
    }
}

fn opening() -> Opening {
    Opening { salt: [3; 32], row: ROW }
}

fn answer() -> Answer {
    Answer { salt: [4; 32], handles: vec![5, 9] }
}

#[test]
fn an_answer_is_asked_for_until_it_is_written_down() {
    let mut rig = Rig::new();
    let request = rig.ask();
    let asked = rig.world.ledger.request(request).unwrap();
    assert_eq!((asked.statement.matter, asked.statement.class), (MATTER, Class::StrongNegative));
    let round = asked.round;
    assert_eq!(asked.statement.row, opening().digest(round));
    rig.later(100);
    assert!(rig.questions.is_empty(), "nobody has approved");
    rig.approve(request);
    assert_eq!(rig.questions, [(request, opening())]);
    rig.later(59);
    assert_eq!(rig.questions.len(), 1);
    rig.later(1);
    assert_eq!(rig.questions.len(), 2, "the question or its answer was lost");
    rig.feed(Input::Down(rig.world.federation.aggregator()));
    rig.later(100);
    assert_eq!(rig.questions.len(), 2);
    rig.restart();
    assert_eq!(rig.questions[2..], [(request, opening())], "what opens the row outlasts a restart");
    rig.log_answer(request, &answer());
    rig.told(request, &answer());
    let told = rig.written_down().unwrap();
    assert_eq!((told.request, told.round, told.row, &told.handles[..]), (request, round, ROW, &[5, 9][..]));
    assert_eq!(told.matters.len(), 1);
    rig.told(request, &answer());
    assert!(rig.written_down().is_none(), "it is being written");
    rig.done(Done::Disclosed { request, text: "table".into() });
    rig.later(1_000);
    rig.restart();
    rig.told(request, &answer());
    assert!(rig.written_down().is_none() && rig.questions.len() == 3, "it is written");
}

#[test]
fn an_answer_counts_only_as_the_log_shows_it() {
    let mut rig = Rig::new();
    let request = rig.ask();
    rig.approve(request);
    rig.told(request, &answer());
    assert!(rig.written_down().is_none(), "before the log shows it");
    rig.later(2);
    assert_eq!(rig.questions.len(), 2, "soon again: this copy may be behind");
    rig.log_answer(request, &answer());
    for wrong in [Answer { handles: vec![5], ..answer() }, Answer { salt: [5; 32], ..answer() }] {
        rig.told(request, &wrong);
        assert!(rig.written_down().is_none());
    }
    rig.told(sha256(b"no request"), &answer());
    assert!(rig.written_down().is_none());
    for other in [rig.world.federation.coordinator(), rig.world.federation.matcher(), rig.world.node("police")] {
        rig.reply(other, request, DisclosureReply::Told(answer()));
        assert!(rig.written_down().is_none());
        assert_eq!(rig.cut.pop(), Some(other));
    }
    rig.told(request, &answer());
    assert!(rig.written_down().is_some());
}

#[test]
fn refused_questions_come_again_later_and_those_refused_in_the_log_never() {
    let mut rig = Rig::new();
    let request = rig.ask();
    rig.approve(request);
    let aggregator = rig.world.federation.aggregator();
    let refused = |reason: Reason| DisclosureReply::Refused(reason.code());
    rig.reply(aggregator, request, refused(Reason::BeforeItsTime));
    rig.later(2);
    assert_eq!(rig.questions.len(), 2);
    rig.reply(aggregator, request, refused(Reason::Unreadable));
    rig.later(599);
    assert_eq!(rig.questions.len(), 2);
    rig.later(1);
    assert_eq!(rig.questions.len(), 3);
    rig.world.state(aggregator, Statement::Refusal { entry: request, reason: Reason::NotSuspected });
    rig.feed(Input::Tick);
    rig.later(1_000);
    assert_eq!(rig.questions.len(), 3);
}

#[test]
fn handles_of_other_records_are_refused_in_the_log() {
    let mut rig = Rig::new();
    let request = rig.ask();
    rig.approve(request);
    let entry = rig.log_answer(request, &answer());
    rig.told(request, &answer());
    assert!(rig.written_down().is_some());
    rig.done(Done::NotDisclosed { request, reason: Reason::BadHandles });
    assert_eq!(rig.refusals(), [(entry, Reason::BadHandles)]);
    let asked = rig.questions.len();
    rig.later(1_000);
    assert_eq!(rig.questions.len(), asked);
}

#[test]
fn a_row_that_is_not_found_is_no_request() {
    let mut rig = Rig::new();
    rig.feed(Input::Local(Local::Admin(Ticket(1), question("110105 19491231 002x"))));
    rig.feed(Input::Local(Local::Admin(Ticket(2), question("110105 19491231 002x"))));
    assert_eq!(rig.answers.pop(), Some(Response::Refused { refusal: Refusal::Busy {} }));
    let Some(Job::FindRow(ticket, _)) = rig.jobs.pop() else { panic!("{:?}", rig.jobs) };
    rig.done(Done::RowFound { ticket, found: Err(Refusal::UnknownPerson {}) });
    assert_eq!(rig.answers.pop(), Some(Response::Refused { refusal: Refusal::UnknownPerson {} }));
    assert_eq!(rig.world.ledger.requests().count(), 0);
    for note in [String::new(), " \n".into(), "x".repeat(NOTE_BYTES_MAX + 1)] {
        let Request::Disclose { month, person, matter, reason, .. } = question("11010519491231002X") else { panic!() };
        let request = Request::Disclose { month, person, matter, reason, note: Private(note) };
        rig.feed(Input::Local(Local::Admin(Ticket(3), request)));
        let refusal = Refusal::Note { bytes_max: NOTE_BYTES_MAX as u64 };
        assert_eq!(rig.answers.pop(), Some(Response::Refused { refusal }));
    }
    // The next one is looked up, and knows what was asked before.
    rig.ask();
    rig.feed(Input::Local(Local::Admin(Ticket(4), question("11010519491231002X"))));
    let Some(Job::FindRow(_, find)) = rig.jobs.pop() else { panic!("{:?}", rig.jobs) };
    assert_eq!(find.asked, [ROW]);
}

#[test]
fn what_the_staff_types_shows_nowhere() {
    let request = question("11010519491231002X");
    let shown = format!("{request:?} {:?}", Job::FindRow(Ticket(1), Box::new(find())));
    assert!(!shown.contains("110105") && !shown.contains("a reason") && shown.contains("redacted"), "{shown}");
    let line = serde_json::to_vec(&request).unwrap();
    assert_eq!(Request::read(&line).unwrap(), request);
    let refused = Request::read(b"{\"cmd\":\"disclose\",\"person\":\"11010519491231002X\"}").unwrap_err();
    assert_eq!(refused, Response::Refused { refusal: Refusal::Unreadable {} });
}

fn find() -> FindRow {
    let (person, _) = PersonId::parse("11010519491231002X").unwrap();
    let (policy, note) = (World::new().policy(), Private("a reason".into()));
    FindRow { policy, round: sha256(b""), person, place: 0, asked: Vec::new(), note }
}
