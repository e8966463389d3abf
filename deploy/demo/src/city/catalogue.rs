//! What the generator reads of a catalogue: departments, channels, matters. Everything else in the file is left to the federation.

use serde::Deserialize;
use wugan_protocol::text::parse_toml;

use super::CityError;

#[derive(Deserialize)]
pub(super) struct Catalogue {
    #[serde(default, rename = "department")]
    pub(super) departments: Vec<Department>,
    #[serde(default, rename = "channel")]
    pub(super) channels: Vec<Channel>,
    #[serde(default, rename = "matter")]
    pub(super) matters: Vec<Matter>,
}

#[derive(Deserialize)]
pub(super) struct Department {
    pub(super) id: String,
    #[serde(default)]
    pub(super) roster_owner: bool,
}

#[derive(Deserialize)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) department: String,
    pub(super) polarity: Polarity,
    pub(super) strength: Strength,
    /// 0: every record up to the month's last day counts.
    pub(super) window_days: u32,
    /// The channel's share of all records is this over the sum of all channels.
    #[serde(default)]
    pub(super) records: u64,
}

#[derive(Deserialize)]
pub(super) struct Matter {
    pub(super) id: String,
    pub(super) department: String,
    pub(super) kind: Kind,
    /// In a city of [`super::SEED_CITY_PEOPLE`].
    #[serde(default)]
    pub(super) recipients: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Polarity {
    Positive,
    Negative,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strength {
    Strong,
    Weak,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Certify,
    Outreach,
}

impl Catalogue {
    /// Reads a catalogue; refuses ids that cannot name a file, and channels and matters of departments that it does not list.
    pub(super) fn parse(text: &str) -> Result<Self, CityError> {
        let catalogue: Self = parse_toml(text.as_bytes())?;
        let departments = catalogue.departments.iter().map(|d| &d.id);
        let channels = catalogue.channels.iter().map(|c| &c.id);
        let matters = catalogue.matters.iter().map(|m| &m.id);
        for id in departments.chain(channels).chain(matters) {
            if !is_plain(id) {
                return Err(CityError::Id(id.clone()));
            }
        }
        for channel in &catalogue.channels {
            if !catalogue.departments.iter().any(|d| d.id == channel.department) {
                return Err(CityError::Department(channel.id.clone()));
            }
        }
        for matter in &catalogue.matters {
            if !catalogue.owners().any(|d| d.id == matter.department) {
                return Err(CityError::Department(matter.id.clone()));
            }
        }
        Ok(catalogue)
    }

    /// The departments that have a roster.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Department> {
        self.departments.iter().filter(|d| d.roster_owner)
    }

    /// How many of `records` fall to each channel, in proportion; the sum is exact.
    pub(super) fn shares(&self, records: u64) -> Vec<u64> {
        let all: u128 = self.channels.iter().map(|c| u128::from(c.records)).sum();
        let up_to = |part: u128| (u128::from(records) * part).checked_div(all).unwrap_or(0) as u64;
        let mut part = 0;
        let share = |channel: &Channel| {
            let before = up_to(part);
            part += u128::from(channel.records);
            up_to(part) - before
        };
        self.channels.iter().map(share).collect()
    }
}

impl Channel {
    pub(super) fn is_strong_positive(&self) -> bool {
        self.polarity == Polarity::Positive && self.strength == Strength::Strong
    }
}

fn is_plain(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !id.is_empty() && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn reads_the_seed_city() {
        let catalogue = Catalogue::parse(super::super::CATALOGUE).unwrap();
        assert_eq!(catalogue.departments.len(), 24);
        assert_eq!(catalogue.channels.len(), 48);
        assert_eq!(catalogue.matters.len(), 24);
        assert_eq!(catalogue.owners().count(), 10);
        assert_eq!(catalogue.channels.iter().map(|c| c.records).sum::<u64>(), 33_788_200);
        let shares = catalogue.shares(120_000);
        assert_eq!(shares.iter().sum::<u64>(), 120_000);
        assert!(
            shares
                .iter()
                .zip(&catalogue.channels)
                .all(|(&n, c)| (n as f64 - c.records as f64 * 120_000.0 / 33_788_200.0).abs() <= 1.0)
        );
    }

    #[test]
    fn refuses_what_could_not_be_written() {
        let text = "[[department]]\nid = \"../a\"\n";
        assert!(matches!(Catalogue::parse(text), Err(CityError::Id(_))));
        let text = "[[department]]\nid = \"a\"\n[[matter]]\nid = \"m\"\ndepartment = \"a\"\nkind = \"certify\"\n";
        assert!(matches!(Catalogue::parse(text), Err(CityError::Department(_))));
        assert!(matches!(Catalogue::parse("[["), Err(CityError::Catalogue(_))));
    }
}
