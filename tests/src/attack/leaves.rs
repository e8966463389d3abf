//! Every part of a body, altered in every way that might pass.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wugan_protocol::limits::{COUNT_STEP, TOLD_STEP};

use super::genuine::Entry;

/// The texts that stand at a place of any entry of a type: the likeliest to be taken for right somewhere else.
pub(super) struct Texts(BTreeMap<(String, String), BTreeSet<String>>);

impl Texts {
    pub(super) fn of(entries: &[Entry]) -> Texts {
        let mut texts: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for entry in entries {
            for place in places(&entry.body) {
                if let Some(Value::String(text)) = entry.body.pointer(&place) {
                    texts.entry(key(&entry.body, &place)).or_default().insert(text.clone());
                }
            }
        }
        Texts(texts)
    }

    /// The next text after this one, of those at this place.
    fn another(&self, body: &Value, place: &str, text: &str) -> Option<Value> {
        let all = self.0.get(&key(body, place))?;
        let later = all.iter().find(|other| other.as_str() > text);
        later.or(all.first()).filter(|other| *other != text).map(|other| json!(other))
    }

    /// Bodies that differ from this one in one place: where, and the body.
    pub(super) fn alterations(&self, body: &Value) -> Vec<(String, Value)> {
        let mut altered = self.other_values(body);
        altered.extend(places(body).into_iter().filter_map(|place| Some((place.clone(), without(body, &place)?))));
        let mut more = body.clone();
        more["more"] = json!(0);
        altered.push(("/more".to_owned(), more));
        altered
    }

    /// Bodies in which something has another value.
    pub(super) fn other_values(&self, body: &Value) -> Vec<(String, Value)> {
        let mut altered = Vec::new();
        for place in places(body) {
            let Some(value) = body.pointer(&place) else { continue };
            for other in self.others(body, &place, value) {
                let mut changed = body.clone();
                if let Some(changed) = changed.pointer_mut(&place) {
                    *changed = other;
                }
                altered.push((place.clone(), changed));
            }
        }
        altered
    }

    fn others(&self, body: &Value, place: &str, value: &Value) -> Vec<Value> {
        match value {
            Value::Number(number) => numbers(number.as_u64().unwrap(), place),
            Value::String(text) => {
                let end = if text.ends_with('0') { '1' } else { '0' };
                let flipped: String = text.chars().take(text.chars().count().saturating_sub(1)).chain([end]).collect();
                let mut others = vec![json!(flipped)];
                others.extend(self.another(body, place, text));
                others.extend((!text.is_empty()).then(|| json!("")));
                others
            }
            Value::Array(items) => lists(items),
            Value::Null => vec![json!(0), json!(10)],
            Value::Bool(truth) => vec![json!(!truth)],
            Value::Object(_) => Vec::new(),
        }
    }
}

/// The next numbers, and those that are steps of rounding away.
fn numbers(number: u64, place: &str) -> Vec<Value> {
    let mut others = BTreeSet::from([0, number + 1]);
    others.extend(number.checked_sub(1));
    if place.ends_with("/count") {
        others.extend([number + COUNT_STEP, number.saturating_sub(COUNT_STEP)]);
    }
    let told = place.ends_with("/about");
    if told {
        others.extend([number + TOLD_STEP, number.saturating_sub(TOLD_STEP)]);
    }
    others.remove(&number);
    others.into_iter().map(|other| json!(other)).chain(told.then_some(Value::Null)).collect()
}

fn lists(items: &[Value]) -> Vec<Value> {
    let Some((last, rest)) = items.split_last() else { return vec![json!([0])] };
    let twice = [items, std::slice::from_ref(last)].concat();
    let turned: Vec<Value> = items.iter().rev().cloned().collect();
    let others = [rest.to_vec(), twice, turned];
    others.into_iter().filter(|other| other != items).map(Value::Array).collect()
}

/// The body without a field.
fn without(body: &Value, place: &str) -> Option<Value> {
    let (parent, name) = place.rsplit_once('/')?;
    let mut changed = body.clone();
    changed.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(changed)
}

/// JSON pointers of everything inside a body.
fn places(body: &Value) -> Vec<String> {
    fn inside(value: &Value, at: &str, places: &mut Vec<String>) {
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect(),
            _ => Vec::new(),
        };
        for (name, value) in parts {
            let place = format!("{at}/{name}");
            places.push(place.clone());
            inside(value, &place, places);
        }
    }
    let mut places = Vec::new();
    inside(body, "", &mut places);
    places
}

/// The type of a body and a place in it, whatever the position in lists.
fn key(body: &Value, place: &str) -> (String, String) {
    (body["type"].as_str().unwrap_or_default().to_owned(), general(place))
}

/// A place with `*` for positions in lists.
pub(super) fn general(place: &str) -> String {
    let part = |part: &str| if part.parse::<usize>().is_ok() { "*".to_owned() } else { part.to_owned() };
    place.split('/').map(part).collect::<Vec<_>>().join("/")
}
