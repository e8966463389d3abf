//! The catalogue that the demo ships.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::catalogue::{Catalogue, Class, Matter};
use crate::model::decide::missing_at;

fn shipped() -> Catalogue {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/catalogue.toml");
    Catalogue::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn of_department(catalogue: &Catalogue, department: &str) -> BTreeSet<String> {
    let own = catalogue.channels.iter().filter(|c| c.department == department);
    own.map(|c| c.id.clone()).collect()
}

fn missing_without(catalogue: &Catalogue, matter: &str, department: &str) -> BTreeSet<String> {
    let matter: &Matter = catalogue.matters.iter().find(|m| m.id == matter).unwrap();
    missing_at(matter, &of_department(catalogue, department))
}

#[test]
fn it_has_the_totals_of_the_city() {
    let catalogue = shipped();
    let mut classes: BTreeMap<Class, u32> = BTreeMap::new();
    for channel in &catalogue.channels {
        *classes.entry(channel.class).or_default() += 1;
    }
    assert_eq!(catalogue.departments.len(), 24);
    assert_eq!(catalogue.departments.iter().filter(|d| d.roster_owner).count(), 10);
    assert_eq!(catalogue.matters.len(), 24);
    assert_eq!(classes[&Class::StrongPositive] + classes[&Class::WeakPositive], 43);
    assert_eq!(classes[&Class::StrongPositive] + classes[&Class::StrongNegative], 39);
    assert_eq!(classes[&Class::StrongNegative], 4);
    assert_eq!(classes[&Class::WeakNegative], 1);
}

#[test]
fn its_matters_have_their_channels() {
    let catalogue = shipped();
    let number = |id: &str| catalogue.matters.iter().find(|m| m.id == id).unwrap().channels.len();
    assert_eq!(number("resident_pension"), 48);
    assert_eq!(number("old_age_allowance"), 47);
    assert_eq!(number("orphan_support"), 17);
}

#[test]
fn with_everybody_there_nothing_is_missing() {
    for matter in &shipped().matters {
        assert_eq!(missing_at(matter, &BTreeSet::new()), BTreeSet::new(), "{}", matter.id);
    }
}

#[test]
fn without_justice_a_matter_of_civil_affairs_loses_the_whole_class() {
    let catalogue = shipped();
    let strong_negatives = ["household_deregistration", "cremation", "stop_declaration", "imprisonment"];
    assert_eq!(missing_without(&catalogue, "minimum_living", "justice"), strong_negatives.map(str::to_owned).into());
    assert_eq!(missing_without(&catalogue, "land_fertility_subsidy", "justice"), ["imprisonment".to_owned()].into());
    assert_eq!(
        missing_without(&catalogue, "resident_pension", "grid_governance"),
        ["village_report".to_owned()].into()
    );
}
