//! The files: CSV as different systems export it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::CityError;

/// A CSV file with a header; some files begin with a byte order mark, some end lines with CRLF, some quote every field.
pub(super) struct Table(csv::Writer<File>);

impl Table {
    /// Creates the file, and its folder. `flavour` decides the form of the file.
    pub(super) fn create(path: &Path, flavour: usize, header: &[&str]) -> Result<Self, CityError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(path)?;
        if flavour % 4 == 1 {
            file.write_all("\u{feff}".as_bytes())?;
        }
        let mut builder = csv::WriterBuilder::new();
        builder.buffer_capacity(BUFFER_BYTES);
        if flavour % 3 == 2 {
            builder.terminator(csv::Terminator::CRLF);
        }
        if flavour % 7 == 3 {
            builder.quote_style(csv::QuoteStyle::Always);
        }
        let mut writer = builder.from_writer(file);
        writer.write_record(header)?;
        Ok(Self(writer))
    }

    pub(super) fn row(&mut self, fields: &[&[u8]]) -> Result<(), CityError> {
        Ok(self.0.write_record(fields)?)
    }

    pub(super) fn finish(mut self) -> Result<(), CityError> {
        Ok(self.0.flush()?)
    }
}

const BUFFER_BYTES: usize = 1 << 18;
