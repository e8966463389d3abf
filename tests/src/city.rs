//! Random small policies, for cities that nobody thought of.

use std::fmt::Write as _;

use wugan_demo::layout::Layout;
use wugan_protocol::{month::Month, policy::Policy};

use crate::sim::Chance;

/// A random catalogue that section 1 of the protocol accepts, and the ids of departments that may be offline. The first
/// two departments run coordinator and aggregator.
pub fn catalogue(seed: u64) -> (String, Vec<String>) {
    let mut chance = Chance::new(seed);
    loop {
        let departments = 5 + chance.below(4);
        let text = text(&mut chance, departments);
        if Policy::read(text.as_bytes()).is_ok() {
            return (text, (2..departments).map(|number| format!("d{number}")).collect());
        }
    }
}

/// From when on a city has canaries, if it has a plan of some.
///
/// # Errors
/// Never: it is a month.
pub fn canaries_from(layout: &Layout) -> anyhow::Result<Option<Month>> {
    Ok(if layout.canary_plan().exists() { Some("2026-06".parse()?) } else { None })
}

fn text(chance: &mut Chance, departments: u64) -> String {
    let owners: Vec<u64> =
        (0..departments).filter(|number| *number != 1 && (*number == 0 || chance.below(3) == 0)).collect();
    let channels = departments * 2 + chance.below(6);
    let mut text = head(chance, &owners);
    for ruleset in 0..2 {
        rules(&mut text, chance, ruleset);
    }
    for number in 0..departments {
        let owner = owners.contains(&number);
        let id = format!("d{number}");
        let _ = write!(
            text,
            "\n[[department]]\nid = \"{id}\"\nname_zh = \"{id}\"\nname_en = \"{id}\"\nroster_owner = {owner}\n"
        );
    }
    for number in 1..=channels {
        channel(&mut text, chance, number, departments);
    }
    let mut number = 0;
    for owner in owners {
        for _ in 0..=chance.below(3) {
            number += 1;
            matter(&mut text, chance, number, owner, channels);
        }
    }
    text
}

fn head(chance: &mut Chance, owners: &[u64]) -> String {
    let cut = chance.below(owners.len() as u64 + 1) as usize;
    let list = |owners: &[u64]| owners.iter().map(|owner| format!("\"d{owner}\"")).collect::<Vec<_>>().join(", ");
    let groups = match owners.split_at(cut) {
        ([], all) | (all, []) => format!("[[{}]]", list(all)),
        (one, other) => format!("[[{}], [{}]]", list(one), list(other)),
    };
    let step = 1 + chance.below(400);
    format!(
        "[policy]\npool_size_step = {step}\nname = \"random\"\nversion = 1\nmissing_max = 3\ndays_between_rounds = 0\nretention_days = 40\n\
         decision_retention_days = 400\npool_groups = {groups}\nexposed = [\"c1\"]\n\n[federation]\ncoordinator = \"d0\"\n\
         aggregator = \"d1\"\nmatcher = {{ id = \"matcher\", name_zh = \"m\", name_en = \"m\" }}\n"
    )
}

fn rules(text: &mut String, chance: &mut Chance, ruleset: u64) {
    let decisions = ["certified", "unmatched", "suspected"];
    let _ = write!(text, "\n[[ruleset]]\nid = \"r{ruleset}\"\nrules = [\n");
    for rule in 0..=chance.below(5) {
        let mut bounds = String::new();
        for kind in ["at_least", "at_most"] {
            let class = CLASSES[chance.below(4) as usize];
            if chance.below(3) > 0 {
                let _ = write!(bounds, "{kind} = {{ {class} = {} }}, ", chance.below(4));
            }
        }
        let _ =
            writeln!(text, "  {{ id = \"x{rule}\", {bounds}decide = \"{}\" }},", decisions[chance.below(3) as usize]);
    }
    let _ = writeln!(text, "  {{ id = \"last\", decide = \"{}\" }},\n]", decisions[chance.below(3) as usize]);
}

/// The first channel is the exposed one, the only weak negative.
fn channel(text: &mut String, chance: &mut Chance, number: u64, departments: u64) {
    let class = if number == 1 { 3 } else { chance.below(8).min(6) / 2 };
    let (strength, polarity) =
        CLASSES[if number > 1 && class == 3 { 0 } else { class as usize }].split_once('_').unwrap_or(("", ""));
    let window = [0, 1, 60, 365][chance.below(4) as usize];
    let _ = write!(
        text,
        "\n[[channel]]\nnumber = {number}\nid = \"c{number}\"\ndepartment = \"d{}\"\nname_zh = \"c\"\nname_en = \"c\"\n\
         polarity = \"{polarity}\"\nstrength = \"{strength}\"\nwindow_days = {window}\nrecords = {}\n",
        chance.below(departments),
        10 + chance.below(100)
    );
}

fn matter(text: &mut String, chance: &mut Chance, number: u64, owner: u64, channels: u64) {
    let named = |chance: &mut Chance| format!("\"c{}\"", 1 + chance.below(channels));
    let chosen = match chance.below(4) {
        0 => format!("{{ except = [{}] }}", named(chance)),
        _ => "\"all\"".to_owned(),
    };
    let _ = write!(
        text,
        "\n[[matter]]\nnumber = {number}\nid = \"m{number}\"\ndepartment = \"d{owner}\"\nname_zh = \"m\"\nname_en = \"m\"\n\
         kind = \"certify\"\nrecipients = {}\ncycle_months = 12\nchannels = {chosen}\nruleset = \"r{}\"\n",
        100_000 + chance.below(900_000),
        chance.below(2)
    );
}

const CLASSES: [&str; 4] = ["strong_positive", "weak_positive", "strong_negative", "weak_negative"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policies_differ_and_are_found_soon() {
        let (one, away) = catalogue(1);
        assert_ne!(one, catalogue(2).0);
        assert!(away.len() >= 3);
    }
}
