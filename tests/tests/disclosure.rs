//! Disclosure as its users see it: from a department's question to the channels in its folder, in simulated federations
//! with crashes and lost messages, and on real processes with the operators' commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;

use wugan_demo::city::{CityPlan, generate, install_roster};
use wugan_node::admin::{Private, Refusal, Request, Response};
use wugan_protocol::{disclosure::DisclosureReason, hexes::Digest, policy::Policy};
use wugan_tests::{
    city::catalogue,
    disclosure::{Decided, decided, expected, told},
    sim::{Faults, Sim},
};

const MONTH: &str = "2026-06";
/// The department that runs the coordinator in random policies.
const BUREAU: &str = "d0";

/// A simulated federation after one round.
struct City {
    sim: Sim,
    policy: Policy,
    rows: Vec<Decided>,
    folder: tempfile::TempDir,
}

impl City {
    fn after_a_round(seed: u64) -> City {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let plan = CityPlan { seed, rounds: 1, records: 3_000, ..CityPlan::for_people(100) };
        let text = catalogue(seed).0;
        generate(&plan, &text, dir).unwrap();
        assert_eq!(plan.months().unwrap(), [MONTH]);
        install_roster(dir, MONTH, true).unwrap();
        let mut sim = Sim::start(dir, &[], &[format!("roster.{MONTH}.csv")], seed).unwrap();
        sim.round(MONTH.parse().unwrap(), &[], Faults::default()).unwrap();
        let policy = Policy::read(text.as_bytes()).unwrap();
        let rows = decided(dir, &policy, MONTH).unwrap();
        City { sim, policy, rows, folder }
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Rows whose suspicion a negative record raised.
    fn suspected(&self) -> Vec<Decided> {
        let suspected = self.rows.iter().filter(|row| row.decision == "suspected");
        suspected.filter(|row| expected(self.dir(), MONTH, row).is_ok()).cloned().collect()
    }

    fn ask(&mut self, node: &str, request: &Request, faults: Faults) -> Response {
        for _ in 0..100 {
            if let Some(answer) = self.sim.ask_node(node, request, faults).unwrap() {
                return answer;
            }
        }
        panic!("{node} crashes each time that it is asked");
    }

    fn disclose(&mut self, row: &Decided, faults: Faults) -> Result<Digest, Refusal> {
        match self.ask(&row.owner, &disclose(row), faults) {
            Response::Asked { request, .. } => Ok(request),
            Response::Refused { refusal } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn approve(&mut self, node: &str, request: Digest, faults: Faults) -> Result<(), Refusal> {
        match self.ask(node, &Request::Approve { request }, faults) {
            Response::Approved { .. } => Ok(()),
            Response::Refused { refusal } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Two members that may approve a request of an owner's.
    fn approvers(&self, owner: &str) -> [String; 2] {
        let ids = self.policy.departments.iter().map(|department| department.id.clone());
        let mut others = ids.filter(|id| id != owner && id != BUREAU);
        [others.next().unwrap(), others.next().unwrap()]
    }

    /// Two members approve, and everything happens that then happens, until the answer is written down.
    fn approve_and_wait(&mut self, row: &Decided, request: Digest, faults: Faults) {
        for node in self.approvers(&row.owner) {
            // Its copy of the log may be behind; a crash may come between the approval and its answer.
            let mut approved = Err(Refusal::UnknownRequest {});
            for _ in 0..60 {
                approved = self.approve(&node, request, faults);
                if approved != Err(Refusal::UnknownRequest {}) {
                    break;
                }
                self.sim.pass(0, faults).unwrap();
            }
            assert!(matches!(approved, Ok(()) | Err(Refusal::ApprovedBefore {})), "{node}: {approved:?}");
        }
        for _ in 0..60 {
            self.sim.pass(0, faults).unwrap();
            if told(self.dir(), MONTH, row, &request.to_string()).unwrap().is_some() {
                return;
            }
        }
        panic!("no answer to {request}");
    }
}

fn disclose(row: &Decided) -> Request {
    Request::Disclose {
        month: MONTH.parse().unwrap(),
        person: Private(row.person.clone()),
        matter: row.matter.clone(),
        reason: DisclosureReason::Objection,
        note: Private("the person came to the counter".into()),
    }
}

#[test]
fn an_answer_names_the_channels_of_the_model_whatever_is_lost() {
    let mut answers = 0;
    for seed in 0..12 {
        let faults = Faults { crashes: seed % 3 * 15, cuts: seed % 4 * 10 };
        let mut city = City::after_a_round(seed);
        for row in city.suspected().into_iter().take(3) {
            let request = city.disclose(&row, faults).unwrap();
            city.approve_and_wait(&row, request, faults);
            let channels = told(city.dir(), MONTH, &row, &request.to_string()).unwrap().unwrap();
            assert_eq!(channels, expected(city.dir(), MONTH, &row).unwrap(), "seed {seed}");
            answers += 1;
        }
        city.sim.pass(0, Faults::default()).unwrap();
        let audited = city.sim.audit().unwrap();
        assert_eq!(audited.refusals, [], "seed {seed}");
        for (owner, approvals) in audited.disclosures.values() {
            assert!(approvals.len() == 2 && !approvals.contains(owner) && !approvals.contains(BUREAU));
        }
    }
    println!("{answers} answers");
    assert!(answers >= 12, "{answers} answers");
}

/// A city in which an owner outside the bureau has suspected rows, and one of them.
fn city_with_suspicion() -> (City, Decided) {
    let mut cities = (0..40).map(City::after_a_round);
    let found = cities.find_map(|city| {
        let row = city.suspected().into_iter().find(|row| row.owner != BUREAU)?;
        Some((city, row))
    });
    found.expect("a city with a suspicion")
}

#[test]
fn what_is_not_allowed_is_refused_in_words_that_fit() {
    let (mut city, row) = city_with_suspicion();
    let calm = Faults::default();
    let certified = city.rows.iter().find(|other| other.owner == row.owner && other.decision != "suspected");
    let refused = city.disclose(&certified.unwrap().clone(), calm);
    assert!(matches!(refused, Err(Refusal::NotSuspected { .. })), "{refused:?}");
    let stranger = Decided { person: "11010519491231002X".into(), ..row.clone() };
    assert_eq!(city.disclose(&stranger, calm), Err(Refusal::UnknownPerson {}));
    let bad = Decided { person: "110105194912310021".into(), ..row.clone() };
    assert_eq!(city.disclose(&bad, calm), Err(Refusal::NotAPerson {}));
    let other = Decided { matter: "nothing".into(), ..row.clone() };
    assert!(matches!(city.disclose(&other, calm), Err(Refusal::OtherMatter { .. })));
    let no_owner = city.policy.departments.iter().find(|department| !department.roster_owner).unwrap().id.clone();
    let of_no_owner = Decided { owner: no_owner, ..row.clone() };
    assert_eq!(city.disclose(&of_no_owner, calm), Err(Refusal::NotAnOwner {}));
    let month = |text: &str| match disclose(&row) {
        Request::Disclose { person, matter, reason, note, .. } => {
            Request::Disclose { month: text.parse().unwrap(), person, matter, reason, note }
        }
        other => other,
    };
    let refused = Response::Refused { refusal: Refusal::NoRound {} };
    assert_eq!(city.ask(&row.owner, &month("2026-05"), calm), refused);

    let request = city.disclose(&row, calm).unwrap();
    city.sim.pass(0, calm).unwrap();
    let [first, second] = city.approvers(&row.owner);
    assert_eq!(city.approve(&row.owner.clone(), request, calm), Err(Refusal::OwnRequest {}));
    assert_eq!(city.approve(BUREAU, request, calm), Err(Refusal::Bureau {}));
    city.approve(&first, request, calm).unwrap();
    assert_eq!(city.approve(&first, request, calm), Err(Refusal::ApprovedBefore {}), "on its way");
    city.sim.pass(0, calm).unwrap();
    assert_eq!(city.approve(&first, request, calm), Err(Refusal::ApprovedBefore {}), "in the log");
    assert_eq!(told(city.dir(), MONTH, &row, &request.to_string()).unwrap(), None, "one approval is not enough");
    city.approve(&second, request, calm).unwrap();
    city.sim.pass(0, calm).unwrap();
    assert_eq!(city.approve(&second, request, calm), Err(Refusal::Ended {}));
    assert!(told(city.dir(), MONTH, &row, &request.to_string()).unwrap().is_some());
    assert_eq!(city.sim.audit().unwrap().refusals, []);
}

#[test]
fn each_month_has_its_share_and_each_round_its_time() {
    let (mut city, row) = city_with_suspicion();
    let calm = Faults::default();
    // The demo's federation manifest allows ten; one is answered, nine are never approved.
    let request = city.disclose(&row, calm).unwrap();
    city.approve_and_wait(&row, request, calm);
    for _ in 1..10 {
        city.disclose(&row, calm).unwrap();
    }
    assert!(matches!(city.disclose(&row, calm), Err(Refusal::Limit { most: 10, .. })));
    city.sim.pass(0, calm).unwrap();
    assert!(matches!(city.disclose(&row, calm), Err(Refusal::Limit { most: 10, .. })));
    // Simulations begin on 24 November: after eight days it is December.
    city.sim.pass(8, calm).unwrap();
    let open = city.disclose(&row, calm).unwrap();
    city.sim.pass(0, calm).unwrap();
    let [first, _] = city.approvers(&row.owner);
    city.approve(&first, open, calm).unwrap();
    assert!(city.sim.kept().unwrap().iter().any(|name| name.contains("opening/")));
    city.sim.pass(33, Faults { crashes: 20, cuts: 20 }).unwrap();
    assert_eq!(city.disclose(&row, calm), Err(Refusal::RetentionOver {}));
    assert_eq!(city.approve(&city.approvers(&row.owner)[1].clone(), open, calm), Err(Refusal::RetentionOver {}));
    let left: Vec<String> = city.sim.kept().unwrap();
    assert!(!left.iter().any(|name| name.contains("opening/") || name.contains("disclosure/")), "{left:#?}");
    assert_eq!(city.sim.audit().unwrap().disclosures.len(), 1);
}
