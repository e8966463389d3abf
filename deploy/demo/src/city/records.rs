//! The records of one channel.

use std::path::Path;

use super::calendar::{DAYS_AFTER, Day};
use super::catalogue::{Channel, Polarity, Strength};
use super::number::Number;
use super::people::{NEVER, Person};
use super::presence::{Span, VISITS_MAX};
use super::rng::Rng;
use super::table::Table;
use super::{City, CityError, dirt};

/// Writes the file of the channel at place `at` of the catalogue, with exactly `quota` rows.
pub(super) fn write(city: &City, at: usize, quota: u64, path: &Path) -> Result<(), CityError> {
    let channel = &city.catalogue.channels[at];
    let mut file = RecordFile {
        city,
        table: Table::create(path, at, HEADER)?,
        rng: Rng::new(city.plan.seed, &format!("channel/{}", channel.id)),
        left: quota,
        person: Vec::new(),
        seen_on: Vec::new(),
    };
    match channel.polarity {
        Polarity::Positive => write_positive(&mut file, at, channel)?,
        Polarity::Negative => write_negative(&mut file, at, channel)?,
    }
    file.table.finish()
}

/// Visitors come several times; those whose visits are spread over the file at one time fit into a small list.
fn write_positive(file: &mut RecordFile, at: usize, channel: &Channel) -> Result<(), CityError> {
    let span = Span::of(channel, file.city.calendar);
    let at_a_time = (file.left / 8).clamp(1, VISITORS_AT_A_TIME);
    let mut visitors: Vec<Visitor> =
        (0..at_a_time).map(|_| Visitor::draw(file.city, at, &span, &mut file.rng)).collect();
    while file.left > 0 {
        let visitor = &mut visitors[file.rng.below(at_a_time) as usize];
        let day = visitor.day(&span, file.city, &mut file.rng);
        file.put(visitor.number, day)?;
        visitor.visits -= 1;
        if visitor.visits == 0 {
            *visitor = Visitor::draw(file.city, at, &span, &mut file.rng);
        }
    }
    Ok(())
}

/// The few records about people on rosters, spread among those about other citizens.
fn write_negative(file: &mut RecordFile, at: usize, channel: &Channel) -> Result<(), CityError> {
    let city = file.city;
    let mut events = events(city, at, channel, &mut file.rng);
    let count = events.len();
    file.rng.sample(&mut events, count);
    while file.left > 0 {
        let (number, day) = if file.rng.below(file.left) < events.len() as u64 {
            events.pop().unwrap_or_else(|| other_event(city, channel, &mut file.rng))
        } else {
            other_event(city, channel, &mut file.rng)
        };
        file.put(number, day)?;
    }
    Ok(())
}

/// Somebody with records in a positive channel.
struct Visitor {
    number: Number,
    death: Day,
    /// Only days that are too old for every month.
    silent: bool,
    visits: u8,
}

impl Visitor {
    fn draw(city: &City, at: usize, span: &Span, rng: &mut Rng) -> Self {
        let visits = 1 + rng.below(VISITS_MAX) as u8;
        let people = &city.population.people;
        if !people.is_empty() && rng.below(SCALE) < city.roster_share {
            let person = &people[rng.below(people.len() as u64) as usize];
            let silent = u64::from(person.luck) < city.silent_below && !is_lone_trace(city, at, person);
            if !(silent && span.window == 0) {
                return Self { number: person.number, death: person.death, silent, visits };
            }
        }
        let (number, death) =
            if rng.one_in(DEPARTED_VISITORS_ONE_IN) { city.departed(rng) } else { (city.living(rng), NEVER) };
        Self { number, death, silent: false, visits }
    }

    fn day(&self, span: &Span, city: &City, rng: &mut Rng) -> Day {
        let day = if self.silent {
            span.first + rng.days(span.stale_last - span.first + 1)
        } else if span.window > 0 && rng.one_in(EDGES_ONE_IN) {
            edge(span, city, rng)
        } else {
            span.first + rng.days(span.len())
        };
        let alive = if day > self.death { self.death - rng.days(30) } else { day };
        alive.max(self.number.birth)
    }
}

/// One weak channel may still know somebody of whom nobody else does: that is not enough to be certified.
fn is_lone_trace(city: &City, at: usize, person: &Person) -> bool {
    let channels = &city.catalogue.channels;
    channels[at].strength == Strength::Weak && usize::from(person.luck) % channels.len() == at
}

/// The last day before a month's window, its first, its last, or the first after it.
fn edge(span: &Span, city: &City, rng: &mut Rng) -> Day {
    let months = city.calendar.months();
    let end = months[rng.below(months.len() as u64) as usize].last;
    [end - span.window, end - span.window + 1, end, end + 1][rng.below(4) as usize]
}

/// The records of a negative channel about people on rosters.
fn events(city: &City, at: usize, channel: &Channel, rng: &mut Rng) -> Vec<(Number, Day)> {
    let cause = Cause::of(channel);
    let recent = city.calendar.first_end() - ERRORS_DAYS_BEFORE;
    let days = city.calendar.last_end() - recent + 1;
    let errors_one_in = if channel.strength == Strength::Strong { ERRORS_ONE_IN } else { ERRORS_WEAK_ONE_IN };
    let mut events = Vec::new();
    for (index, person) in city.population.people.iter().enumerate() {
        if cause == Cause::Death && person.death != NEVER {
            if is_reported(city, at, index) {
                events.push((person.number, city.reported(person.death, rng)));
            }
        } else if rng.one_in(errors_one_in) {
            let day = recent + rng.days(days);
            events.push((person.number, day.min(person.death).max(person.number.birth)));
        }
    }
    events
}

/// Whether this channel knows of a person's death. At least one does; many deaths are known to one only.
fn is_reported(city: &City, at: usize, person: usize) -> bool {
    let of_death = || {
        city.catalogue
            .channels
            .iter()
            .enumerate()
            .filter(|(_, c)| c.polarity == Polarity::Negative && Cause::of(c) == Cause::Death)
    };
    let mut rng = Rng::new(city.plan.seed, "deaths").fork(person as u64);
    let sure = rng.below(of_death().count() as u64) as usize;
    let chances = of_death()
        .map(|(other, c)| (other, if c.strength == Strength::Strong { rng.below(4) > 0 } else { rng.one_in(5) }));
    chances.enumerate().any(|(place, (other, heard))| other == at && (heard || place == sure))
}

/// A record about somebody who is on no roster.
fn other_event(city: &City, channel: &Channel, rng: &mut Rng) -> (Number, Day) {
    match Cause::of(channel) {
        Cause::Death => {
            let (number, death) = city.departed(rng);
            (number, city.reported(death, rng))
        }
        Cause::Other => {
            let first = city.calendar.first_end() - OTHER_DAYS_BEFORE;
            let number = city.living(rng);
            (number, (first + rng.days(city.calendar.last_end() + DAYS_AFTER - first + 1)).max(number.birth))
        }
    }
}

/// What a negative channel is about.
#[derive(PartialEq, Eq)]
enum Cause {
    Death,
    /// Prison, a declaration: the person lives.
    Other,
}

impl Cause {
    fn of(channel: &Channel) -> Self {
        match channel.id.as_str() {
            "imprisonment" | "stop_declaration" => Self::Other,
            _ => Self::Death,
        }
    }
}

struct RecordFile<'a> {
    city: &'a City<'a>,
    table: Table,
    rng: Rng,
    /// How many rows are still to be written.
    left: u64,
    person: Vec<u8>,
    seen_on: Vec<u8>,
}

impl RecordFile<'_> {
    /// Writes a row, now and then twice.
    fn put(&mut self, number: Number, day: Day) -> Result<(), CityError> {
        dirt::person_cell(number, self.city.calendar, &mut self.rng, &mut self.person);
        dirt::date_cell(day, self.city.calendar, &mut self.rng, &mut self.seen_on);
        let copies = if self.rng.one_in(COPIES_ONE_IN) { 2 } else { 1 };
        for _ in 0..copies.min(self.left) {
            self.table.row(&[&self.person, &self.seen_on])?;
            self.left -= 1;
        }
        Ok(())
    }
}

const HEADER: &[&str] = &["person", "seen_on"];
/// Shares of people are compared with a random number below this.
pub(super) const SCALE: u64 = 1 << 16;
const VISITORS_AT_A_TIME: u64 = 4_096;
const DEPARTED_VISITORS_ONE_IN: u64 = 40;
const EDGES_ONE_IN: u64 = 50;
const COPIES_ONE_IN: u64 = 200;
/// Negative records about the living: mistakes, prison, declarations.
const ERRORS_ONE_IN: u64 = 3_000;
const ERRORS_WEAK_ONE_IN: u64 = 1_000;
const ERRORS_DAYS_BEFORE: Day = 300;
const OTHER_DAYS_BEFORE: Day = 1_000;
