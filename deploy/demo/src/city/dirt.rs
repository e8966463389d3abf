//! How a number really looks in a department's table: old forms, odd characters, and cells that are lost.

use super::calendar::{Calendar, Day};
use super::number::Number;
use super::rng::Rng;

/// Writes one cell with a person's number; in a few of a hundred not as it should be, in well under one of a hundred unusable.
pub(super) fn person_cell(number: Number, calendar: &Calendar, rng: &mut Rng, cell: &mut Vec<u8>) {
    cell.clear();
    let text = number.text(calendar);
    match rng.below(10_000) {
        0..200 => old_form(&text, cell),
        200..230 => full_width(&text, cell),
        230..250 => spaced(&text, b" ", cell),
        250..270 => spaced(&text, "\u{3000}".as_bytes(), cell),
        270..320 => {
            cell.push(b'\'');
            cell.extend_from_slice(&text);
        }
        320..350 => wrong_check(&text, cell),
        350..360 => cell.extend_from_slice(b"110***"),
        360..370 => {
            cell.extend_from_slice(&text[..6]);
            cell.extend_from_slice(b"********");
            cell.extend_from_slice(&text[14..]);
        }
        370..380 => floating(&text, cell),
        380..390 => {}
        _ => plain(&text, rng, cell),
    }
}

/// Writes one cell with a date; in one of 500 rows no date.
pub(super) fn date_cell(day: Day, calendar: &Calendar, rng: &mut Rng, cell: &mut Vec<u8>) {
    cell.clear();
    let text = calendar.text(day);
    match rng.below(10_000) {
        0..5 => {}
        5..10 => cell.extend_from_slice("不详".as_bytes()),
        10..15 => cell.extend_from_slice(b"0000-00-00"),
        15..20 => {
            cell.extend_from_slice(&text[..5]);
            cell.extend_from_slice(b"13-45");
        }
        _ => cell.extend_from_slice(text),
    }
}

fn plain(text: &[u8; 18], rng: &mut Rng, cell: &mut Vec<u8>) {
    cell.extend_from_slice(text);
    if text[17] == b'X' && rng.one_in(8) {
        cell[17] = b'x';
    }
}

/// 15 digits, without century and check character; only for births from 1900 to 1999.
fn old_form(text: &[u8; 18], cell: &mut Vec<u8>) {
    if &text[6..8] == b"19" {
        cell.extend_from_slice(&text[..6]);
        cell.extend_from_slice(&text[8..17]);
    } else {
        cell.extend_from_slice(text);
    }
}

fn full_width(text: &[u8; 18], cell: &mut Vec<u8>) {
    for &byte in text {
        let wide = char::from_u32(u32::from(byte) + 0xfee0).unwrap_or('\u{3000}');
        cell.extend_from_slice(wide.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn spaced(text: &[u8; 18], blank: &[u8], cell: &mut Vec<u8>) {
    for part in [&text[..6], &text[6..14], &text[14..]] {
        if !cell.is_empty() {
            cell.extend_from_slice(blank);
        }
        cell.extend_from_slice(part);
    }
}

/// The next digit instead of the right check character.
fn wrong_check(text: &[u8; 18], cell: &mut Vec<u8>) {
    cell.extend_from_slice(text);
    cell[17] = match text[17] {
        digit @ b'0'..=b'8' => digit + 1,
        _ => b'0',
    };
}

/// What a spreadsheet makes of it: `3.4169919E+17`.
fn floating(text: &[u8; 18], cell: &mut Vec<u8>) {
    cell.push(text[0]);
    cell.push(b'.');
    cell.extend_from_slice(&text[1..8]);
    cell.extend_from_slice(b"E+17");
}
