//! Disclosure as its users see it: from a department's question to the channels in its folder, in simulated federations
//! with crashes and lost messages, and on real processes with the operators' commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use wugan_audit::{disclosures::DisclosureTotals, folder, report::html, story::Teller, verify::verify_and_watch};
use wugan_demo::city::install_roster;
use wugan_node::admin::{Private, Refusal, Request, Response};
use wugan_protocol::{
    chance::{Purpose, RoundSeed},
    disclosure::DisclosureReason,
    hexes::Digest,
    party::Role,
    policy::Policy,
    text::Language,
};
use wugan_tests::{
    audit::{audit_city, authority},
    cluster::Cluster,
    disclosure::{Decided, city, decided, expected, files_with, told},
    sim::{Faults, Sim},
};
use wugan_transport::journal::Journal;

const MONTH: &str = "2026-06";
/// The department that runs the coordinator, and owns rosters.
const BUREAU: &str = "bureau";
/// The other roster owner.
const CIVIL: &str = "civil";

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
        let policy = city(dir, seed, MONTH).unwrap();
        let mut sim = Sim::start(dir, &[], &[format!("roster.{MONTH}.csv")], seed).unwrap();
        install_roster(dir, MONTH, true).unwrap();
        sim.round(MONTH.parse().unwrap(), &[], Faults::default()).unwrap();
        let rows = decided(dir, &policy, MONTH).unwrap();
        City { sim, policy, rows, folder }
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// An owner's rows that are suspected, or that are not.
    fn rows_of(&self, owner: &str, suspected: bool) -> Vec<Decided> {
        let of_owner = self.rows.iter().filter(|row| row.owner == owner);
        of_owner.filter(|row| (row.decision == "suspected") == suspected).cloned().collect()
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
    let mut answers: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (seed, crashes, cuts) in [(1, 0, 0), (2, 30, 0), (3, 0, 30), (4, 40, 20)] {
        let faults = Faults { crashes, cuts };
        let mut city = City::after_a_round(seed);
        let rows = [city.rows_of(BUREAU, true), city.rows_of(CIVIL, true)].map(|rows| rows.into_iter().take(6));
        for row in rows.into_iter().flatten() {
            let request = city.disclose(&row, faults).unwrap();
            city.approve_and_wait(&row, request, faults);
            let channels = told(city.dir(), MONTH, &row, &request.to_string()).unwrap().unwrap();
            assert_eq!(channels, expected(city.dir(), MONTH, &row).unwrap(), "seed {seed}");
            answers.insert(channels);
        }
        city.sim.pass(0, Faults::default()).unwrap();
        let audited = city.sim.audit().unwrap();
        assert_eq!(audited.refusals, [], "seed {seed}");
        for (owner, approvals) in audited.disclosures.values() {
            assert!(approvals.len() == 2 && !approvals.contains(owner) && !approvals.contains(BUREAU));
        }
    }
    println!("{answers:?}");
    assert!(answers.len() >= 6, "answers of several kinds: {answers:?}");
    assert!(answers.contains(&BTreeSet::from(["report".to_owned()])), "of the weak class too");
}

#[test]
fn what_is_not_allowed_is_refused_in_words_that_fit() {
    let mut city = City::after_a_round(5);
    let row = city.rows_of(CIVIL, true).swap_remove(0);
    let calm = Faults::default();
    let refused = city.disclose(&city.rows_of(CIVIL, false)[0].clone(), calm);
    assert!(matches!(refused, Err(Refusal::NotSuspected { .. })), "{refused:?}");
    let stranger = Decided { person: "11010519491231002X".into(), ..row.clone() };
    assert_eq!(city.disclose(&stranger, calm), Err(Refusal::UnknownPerson {}));
    let bad = Decided { person: "110105194912310021".into(), ..row.clone() };
    assert_eq!(city.disclose(&bad, calm), Err(Refusal::NotAPerson {}));
    let other = Decided { matter: "nothing".into(), ..row.clone() };
    assert!(matches!(city.disclose(&other, calm), Err(Refusal::OtherMatter { .. })));
    let of_no_owner = Decided { owner: "police".into(), ..row.clone() };
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
    assert_eq!(city.disclose(&row, calm), Err(Refusal::AskedBefore {}), "on its way");
    city.sim.pass(0, calm).unwrap();
    assert_eq!(city.disclose(&row, calm), Err(Refusal::AskedBefore {}), "in the log");
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
    let mut city = City::after_a_round(6);
    let calm = Faults::default();
    let mut rows = city.rows_of(CIVIL, true).into_iter();
    // The demo's federation manifest allows ten; one is answered, nine are never approved.
    let row = rows.next().unwrap();
    let request = city.disclose(&row, calm).unwrap();
    city.approve_and_wait(&row, request, calm);
    for row in rows.by_ref().take(9) {
        city.disclose(&row, calm).unwrap();
    }
    let row = rows.next().unwrap();
    assert!(matches!(city.disclose(&row, calm), Err(Refusal::Limit { most: 10, .. })));
    city.sim.pass(0, calm).unwrap();
    assert!(matches!(city.disclose(&row, calm), Err(Refusal::Limit { most: 10, .. })));
    city.disclose(&city.rows_of(BUREAU, true)[0].clone(), calm).unwrap();
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

/// A federation of real processes after one round, and what its operators type.
struct Office {
    cluster: Cluster,
    /// The city.
    dir: PathBuf,
    /// Files of the operators' own.
    desk: PathBuf,
}

impl Office {
    /// What a department's operator runs, with this on standard input.
    fn run(&self, node: &str, arguments: &[&str], input: &str, language: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_federation"))
            .arg("wugan-node")
            .args(arguments)
            .arg("--socket")
            .arg(self.cluster.layout().node_admin(node))
            .current_dir(&self.desk)
            .env("LC_ALL", language)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that refuses at once reads nothing.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// The command must fail, and say this.
    fn refused(&self, node: &str, arguments: &[&str], input: &str, says: &str) {
        let output = self.run(node, arguments, input, "C");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(says) && output.stdout.is_empty(), "{arguments:?}: {said}");
    }

    fn done(&self, node: &str, arguments: &[&str], input: &str) -> Output {
        let output = self.run(node, arguments, input, "C");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    /// The requests that a node shows, as JSON.
    fn requests(&self, node: &str) -> Vec<serde_json::Value> {
        let output = self.done(node, &["requests", "--json"], "");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["requests"].as_array().unwrap().clone()
    }

    /// Waits until a node shows a request in this state.
    fn await_state(&self, node: &str, request: &str, state: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        let found = |listed: &serde_json::Value| listed["request"] == request && listed["state"]["state"] == state;
        while !self.requests(node).iter().any(found) {
            assert!(Instant::now() < until, "{node} does not show {state}: {:?}", self.requests(node));
            sleep(Duration::from_millis(50));
        }
    }
}

fn disclose_arguments<'a>(row: &'a Decided, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["disclose", "--month", MONTH, "--matter", &row.matter, "--reason", "correction", "--note", "why.txt"];
    [&all[..], more].concat()
}

const FROM_STDIN: [&str; 2] = ["--person-file", "-"];

#[test]
fn operators_ask_approve_and_read_the_answer() {
    let (folder, desk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = folder.path().to_owned();
    let policy = city(&dir, 7, MONTH).unwrap();
    let rosters = [format!("roster.{MONTH}.csv")];
    let mut cluster = Cluster::start(&dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap();
    install_roster(&dir, MONTH, true).unwrap();
    cluster.round(MONTH.parse().unwrap(), |_, _| Ok(())).unwrap();
    let rows = decided(&dir, &policy, MONTH).unwrap();
    let of = |decision: &str| rows.iter().find(|row| row.owner == CIVIL && row.decision == decision).unwrap();
    let (row, certified) = (of("suspected").clone(), of("certified"));
    let others = policy.departments.iter().map(|department| department.id.as_str());
    let others: Vec<&str> = others.filter(|id| *id != row.owner && *id != BUREAU).collect();
    let mut office = Office { cluster, dir: dir.clone(), desk: desk.path().to_owned() };
    fs::write(office.desk.join("why.txt"), NOTE).unwrap();
    fs::write(office.desk.join("person.txt"), format!("{}\n", row.person)).unwrap();

    refusals_of_the_owner(&office, &row, certified);
    let arguments = disclose_arguments(&row, &["--person-file", "person.txt", "--json"]);
    let asked: serde_json::Value = serde_json::from_slice(&office.done(&row.owner, &arguments, "").stdout).unwrap();
    let request = asked["request"].as_str().unwrap().to_owned();
    assert_eq!(asked["left"], 9);
    approvals(&office, &row.owner, &others, &request);
    office.await_state(&row.owner, &request, "written");
    let channels = told(&dir, MONTH, &row, &request).unwrap().unwrap();
    assert_eq!(channels, expected(&dir, MONTH, &row).unwrap());
    the_owner_reads(&office, &row, &request);

    let parties = office.cluster.parties();
    parties.into_iter().for_each(|party| assert!(office.cluster.terminate(party).unwrap().success()));
    nothing_is_left_with_others(&office, &row, &request);
    the_audit_counts(&dir, &row);
}

/// What the owner's operator gets wrong.
fn refusals_of_the_owner(office: &Office, row: &Decided, certified: &Decided) {
    let from_stdin = disclose_arguments(row, &FROM_STDIN);
    office.refused(&row.owner, &disclose_arguments(certified, &FROM_STDIN), &certified.person, "not suspected");
    office.refused(&row.owner, &from_stdin, "11010519491231002X", "not on the roster");
    office.refused(&row.owner, &from_stdin, "110105194912310021", "no valid ID number");
    office.refused(&row.owner, &from_stdin, &"1".repeat(2_000), "longer than 1024 bytes");
    let person = row.person.as_str();
    let other_month: Vec<&str> = from_stdin.iter().map(|a| if *a == MONTH { "2026-05" } else { a }).collect();
    office.refused(&row.owner, &other_month, person, "no round of that month counts");
    let no_note: Vec<&str> = from_stdin.iter().map(|a| if *a == "why.txt" { "none.txt" } else { a }).collect();
    office.refused(&row.owner, &no_note, person, "none.txt cannot be read");
    let wrong: Vec<&str> = from_stdin.iter().map(|a| if *a == "correction" { "curiosity" } else { a }).collect();
    let usage = office.run(&row.owner, &wrong, person, "C");
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8(usage.stderr).unwrap().contains("objection"), "the codes are named");
    assert!(office.requests(&row.owner).is_empty());
}

/// Two members approve, after they and others tried what they may not.
fn approvals(office: &Office, owner: &str, others: &[&str], request: &str) {
    let digits = &request[..8];
    for node in [owner, BUREAU].into_iter().chain(others.iter().copied()) {
        office.await_state(node, request, "open");
    }
    let [first, second] = [others[0], others[1]];
    let shown = String::from_utf8(office.done(first, &["requests"], "").stdout).unwrap();
    for part in [request, "Civil Affairs", MONTH, "Relief", "wrong", "approved by nobody", "approvals lacking: 2"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    office.refused(owner, &["approve", digits, "--yes"], "", "your own department's request");
    office.refused(BUREAU, &["approve", digits, "--yes"], "", "coordinator's bureau may not approve");
    office.refused(first, &["approve", digits], "n\n", "not approved");
    office.refused(first, &["approve", digits], "", "not approved");
    office.refused(first, &["approve", &request[..7]], "y\n", "at least the first 8 digits");
    office.refused(first, &["approve", "00000000", "--yes"], "", "no open request");
    let asked = office.done(first, &["approve", digits], "y\n");
    let question = String::from_utf8(asked.stderr).unwrap();
    assert!(
        question.contains("Civil Affairs") && question.contains("By approving you agree") && question.contains("[y/N]")
    );
    office.refused(first, &["approve", digits, "--yes"], "", "your department has approved it");
    office.done(second, &["approve", request, "--yes"], "");
}

/// What the owner's department finds in its folder and on its screen.
fn the_owner_reads(office: &Office, row: &Decided, request: &str) {
    let folder = office.dir.join("departments").join(&row.owner).join("disclosures");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join(format!("{MONTH}.csv"))), 0o600);
    assert_eq!(mode(&office.cluster.layout().node_admin(&row.owner)), 0o600);
    let notes = files_with(&folder, &[NOTE.as_bytes()]).unwrap();
    assert!(matches!(&notes[..], [note] if note.ends_with(".note")), "{notes:?}");
    let shown = office.run(&row.owner, &["requests"], "", "zh_CN.UTF-8");
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(request) && shown.contains("答复在本部门文件夹 disclosures/ 中"), "{shown}");
}

/// The person, the row and the answer are with nobody who should not have them, nor in anybody's log.
fn nothing_is_left_with_others(office: &Office, row: &Decided, request: &str) {
    let owner = office.cluster.party(&row.owner, Role::Node).unwrap();
    let facts = Journal::open(&office.cluster.state(owner).join("state.sqlite")).unwrap().facts().unwrap();
    let opening = facts.into_iter().find(|(name, _)| name.starts_with("opening/")).unwrap().1;
    let aggregator = office.cluster.federation().aggregator();
    let facts = Journal::open(&office.cluster.state(aggregator).join("state.sqlite")).unwrap().facts().unwrap();
    let (name, seed) = facts.into_iter().find(|(name, _)| name.starts_with("seed/")).unwrap();
    let round: Digest = name.trim_start_matches("seed/").parse().unwrap();
    let purpose = Purpose::Disclosure(request.parse().unwrap());
    let salt = RoundSeed::new(seed.try_into().unwrap()).derive(&round.0, purpose);
    let secrets: [&[u8]; 5] = [row.person.as_bytes(), NOTE.as_bytes(), &opening[..32], hex_of(&opening[..32]), &salt];
    for party in office.cluster.parties() {
        let state = office.cluster.state(party);
        let found = files_with(&state, &secrets).unwrap();
        let database = |path: &String| party == owner && path.contains("state.sqlite");
        let (own, others): (Vec<String>, Vec<String>) = found.into_iter().partition(database);
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(own.is_empty(), party != owner, "the search finds what is there");
    }
}

/// Hexadecimal digits, for a search: leaked once, in a test.
fn hex_of(bytes: &[u8]) -> &'static [u8] {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Box::leak(text.into_bytes().into_boxed_slice())
}

fn the_audit_counts(dir: &Path, row: &Decided) {
    let key = authority(dir).unwrap().try_into().unwrap();
    let (files, mut teller) = (folder::read(&dir.join("coordinator/log")).unwrap(), Teller::default());
    let (report, _) = verify_and_watch(&files, &key, &mut |logged, ledger| teller.take(logged, ledger));
    assert_eq!(report.findings, []);
    let (owner, matter) = (row.owner.clone(), row.matter.clone());
    let totals = DisclosureTotals { owner, matter, requests: 1, approvals: 2, disclosures: 1, refused: 0 };
    assert_eq!(report.disclosures, [totals]);
    let story = teller.stories().into_iter().find(|story| !story.disclosures.is_empty()).unwrap();
    assert_eq!(story.disclosures, report.disclosures);
    assert!(story.page(Language::English).contains("1 requested, 2 approvals, 1 answered"));
    assert!(html(&report, &[story]).contains("1 requested, 2 approvals, 1 answered"));
    let audited = audit_city(dir).unwrap();
    let approvals: Vec<&BTreeSet<String>> = audited.disclosures.values().map(|(_, approvals)| approvals).collect();
    assert!(matches!(&approvals[..], [approvals] if approvals.len() == 2));
}

const NOTE: &str = "The neighbours say that he moved away; the record may be his brother's.";
