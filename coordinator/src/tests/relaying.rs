use wugan_protocol::{
    engine::{Command, Input},
    hexes::sha256,
    message::Message,
    party::{MemberNumber, Party},
    reason::Reason,
    statement::{EnrolmentBatch, Evaluation, SourceEpoch, Statement},
};

use crate::{Job, round::node, testing::Rig};

struct Enrolment {
    rig: Rig,
    owner: MemberNumber,
    sources: Vec<MemberNumber>,
    blinded: Vec<[u8; 32]>,
}

impl Enrolment {
    /// A logged batch of an owner for three sources, of which the first two are there.
    fn new() -> Enrolment {
        let mut rig = Rig::new();
        let owner = rig.member("water");
        let sources: Vec<MemberNumber> = ["public_security", "civil_affairs", "tax"].map(|id| rig.member(id)).to_vec();
        let blinded = vec![[3; 32]; 256];
        let batch = EnrolmentBatch {
            batch: 0,
            sources: sources.iter().map(|source| SourceEpoch { source: *source, epoch: 1 }).collect(),
            count: 256,
            elements: sha256(blinded.as_flattened()),
        };
        rig.say(node(owner), Statement::EnrolmentBatch(batch));
        [owner, sources[0], sources[1]].into_iter().for_each(|member| {
            rig.connect(node(member));
        });
        Enrolment { rig, owner, sources, blinded }
    }

    fn batch(&self) -> Message {
        let Enrolment { owner, sources, blinded, .. } = self;
        Message::Batch { owner: *owner, batch: 0, sources: sources.clone(), blinded: blinded.clone() }
    }

    fn evaluated(&mut self, source: MemberNumber) -> Message {
        let (evaluated, proof) = (vec![[4; 32]; 256], [[5; 32]; 2]);
        let entry = self.rig.ledger.batch(self.owner, 0).unwrap().entry;
        let answer = sha256(&[evaluated.as_flattened(), proof.as_flattened()].concat());
        let (owner, batch) = (self.owner, 0);
        self.rig
            .say(node(source), Statement::Evaluation(Evaluation { owner, batch, entry, epoch: 1, count: 256, answer }));
        Message::Answer { owner, batch, source, evaluated, proof }
    }

    fn relay(&mut self, from: MemberNumber, message: Message) -> Vec<Command<Job>> {
        self.rig.feed(Input::Message(node(from), message))
    }
}

fn relayed<'a>(commands: &'a [Command<Job>], message: &Message) -> &'a [Party] {
    match commands {
        [Command::Send(parties, sent)] if sent == message => parties,
        other => panic!("{other:?}"),
    }
}

fn blamed(commands: &[Command<Job>], party: MemberNumber) -> bool {
    let cut = matches!(commands[0], Command::Disconnect(who, Reason::BatchDiffers) if who == node(party));
    cut && !commands.iter().any(|command| matches!(command, Command::Send(..)))
}

#[test]
fn a_batch_goes_to_the_addressed_sources_that_are_there() {
    let mut enrolment = Enrolment::new();
    let message = enrolment.batch();
    let commands = enrolment.relay(enrolment.owner, message.clone());
    let mut there = vec![node(enrolment.sources[0]), node(enrolment.sources[1])];
    there.sort_unstable();
    assert_eq!(relayed(&commands, &message), there);

    let tax = node(enrolment.sources[2]);
    enrolment.rig.feed(Input::Up(tax));
    let commands = enrolment.relay(enrolment.owner, message.clone());
    assert_eq!(relayed(&commands, &message).len(), 2, "the third does not hold the batch's entry yet");
    enrolment.rig.connect(tax);
    enrolment.sources = vec![tax.member];
    let message = enrolment.batch();
    let commands = enrolment.relay(enrolment.owner, message.clone());
    assert_eq!(relayed(&commands, &message), [tax]);
}

#[test]
fn what_is_not_the_logged_batch_cuts_the_connection() {
    let mut enrolment = Enrolment::new();
    let (owner, source) = (enrolment.owner, enrolment.sources[0]);
    let good = enrolment.batch();
    assert!(blamed(&enrolment.relay(source, good.clone()), source), "of somebody else");
    let Message::Batch { batch, sources, blinded, .. } = good else { unreachable!() };
    let mut other = blinded.clone();
    other[255][0] ^= 1;
    let more = [sources.clone(), vec![owner]].concat();
    let bad = [
        Message::Batch { owner, batch: 1, sources: sources.clone(), blinded: blinded.clone() },
        Message::Batch { owner, batch, sources: sources.clone(), blinded: other },
        Message::Batch { owner, batch, sources: sources.clone(), blinded: blinded[1..].to_vec() },
        Message::Batch { owner, batch, sources: more, blinded: blinded.clone() },
        Message::Batch { owner: source, batch, sources, blinded },
    ];
    for message in bad {
        assert!(blamed(&enrolment.relay(owner, message), owner));
    }
}

#[test]
fn an_answer_goes_to_the_owner_if_it_is_there() {
    let mut enrolment = Enrolment::new();
    let (owner, source) = (enrolment.owner, enrolment.sources[0]);
    let answer = enrolment.evaluated(source);
    let commands = enrolment.relay(source, answer.clone());
    assert_eq!(relayed(&commands, &answer), [node(owner)]);
    enrolment.rig.feed(Input::Down(node(owner)));
    assert!(enrolment.relay(source, answer).is_empty(), "dropped; the owner asks again");
}

#[test]
fn what_is_not_the_logged_evaluation_cuts_the_connection() {
    let mut enrolment = Enrolment::new();
    let (owner, source, other) = (enrolment.owner, enrolment.sources[0], enrolment.sources[1]);
    let answer = enrolment.evaluated(source);
    assert!(blamed(&enrolment.relay(other, answer.clone()), other), "of somebody else");
    let Message::Answer { batch, evaluated, proof, .. } = answer else { unreachable!() };
    let wrong_proof =
        Message::Answer { owner, batch, source, evaluated: evaluated.clone(), proof: [proof[0], [6; 32]] };
    let fewer = Message::Answer { owner, batch, source, evaluated: evaluated[1..].to_vec(), proof };
    for message in [wrong_proof, fewer] {
        assert!(blamed(&enrolment.relay(source, message), source));
    }
    let unlogged = Message::Answer { owner, batch, source: other, evaluated, proof };
    assert!(blamed(&enrolment.relay(other, unlogged), other));
}
