//! Latency tables from text, with all their faults.

use std::collections::HashSet;

use super::area::Area;
use super::yaml::Node;
use super::{LatencyFault, LatencyTable};

/// A minute: no answer is that late, so that more is a mistake in the unit.
const MAX_MILLISECONDS: f64 = 60_000.0;

const CSV_HEADER: [&str; 3] = ["area", "region", "milliseconds"];

pub(super) fn yaml(text: &str) -> Result<LatencyTable, Vec<LatencyFault>> {
    let mut draft = Draft::default();
    match serde_yaml::from_str(text) {
        Ok(Node::Null) => {}
        Ok(Node::Mapping(areas)) => {
            for (area, regions) in &areas {
                draft.area(area, regions);
            }
        }
        Ok(other) => {
            let message = format!("{other} where a mapping of areas must be");
            draft.fault("table".to_owned(), message);
        }
        Err(error) => draft.fault("table".to_owned(), error.to_string()),
    }
    draft.finish()
}

pub(super) fn csv(text: &str) -> Result<LatencyTable, Vec<LatencyFault>> {
    let mut draft = Draft::default();
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    match reader.headers() {
        Ok(header) if header.iter().eq(CSV_HEADER) => {}
        _ => draft.fault(
            "line 1".to_owned(),
            format!("the header must be {}", CSV_HEADER.join(",")),
        ),
    }
    for record in reader.records() {
        draft.line(record);
    }
    draft.finish()
}

/// A table in the making.
#[derive(Default)]
struct Draft {
    table: LatencyTable,
    faults: Vec<LatencyFault>,
    /// Areas of a YAML table that have been read.
    areas: HashSet<Area>,
}

impl Draft {
    fn finish(mut self) -> Result<LatencyTable, Vec<LatencyFault>> {
        if self.faults.is_empty() && self.table.entries == 0 {
            self.fault("table".to_owned(), "there are no entries".to_owned());
        }
        if self.faults.is_empty() {
            Ok(self.table)
        } else {
            Err(self.faults)
        }
    }

    fn fault(&mut self, at: String, message: String) {
        self.faults.push(LatencyFault { at, message });
    }

    /// One area of a YAML table with all its regions.
    fn area(&mut self, name: &str, regions: &Node) {
        let area: Option<Area> = self.checked(name, name.parse());
        if area.clone().is_some_and(|area| !self.areas.insert(area)) {
            let message = "the area appears twice; merge its two mappings".to_owned();
            self.fault(name.to_owned(), message);
        }
        let Node::Mapping(regions) = regions else {
            let message = format!("{regions} where a mapping of regions to milliseconds must be");
            return self.fault(name.to_owned(), message);
        };
        for (region, value) in regions {
            let at = format!("{name}.{region}");
            let milliseconds = match value {
                Node::Number(number) => Ok(*number),
                other => Err(format!("{other} is no number of milliseconds")),
            };
            let micros = self.checked(&at, milliseconds.and_then(micros));
            if let (Some(area), Some(micros)) = (&area, micros) {
                self.entry(&at, area.clone(), region, micros);
            }
        }
    }

    /// One line of a CSV table.
    fn line(&mut self, record: Result<csv::StringRecord, csv::Error>) {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let at = format!("line {}", position.map_or(0, csv::Position::line));
        let Some(record) = self.checked(&at, record.map_err(|error| error.to_string())) else {
            return;
        };
        let fields: Vec<&str> = record.iter().collect();
        let &[area, region, milliseconds] = fields.as_slice() else {
            let message = format!(
                "{} fields instead of {}",
                fields.len(),
                CSV_HEADER.join(",")
            );
            return self.fault(at, message);
        };
        let number = milliseconds
            .parse()
            .map_err(|_| format!("{milliseconds:?} is no number of milliseconds"));
        let area = self.checked(&at, area.parse());
        let micros = self.checked(&at, number.and_then(micros));
        if let (Some(area), Some(micros)) = (area, micros) {
            self.entry(&at, area, region, micros);
        }
    }

    fn checked<T>(&mut self, at: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|message| self.fault(at.to_owned(), message))
            .ok()
    }

    fn entry(&mut self, at: &str, area: Area, region: &str, micros: u32) {
        if region.is_empty() {
            return self.fault(at.to_owned(), "the region has no name".to_owned());
        }
        let id = self.table.region_id(region);
        let row = self.table.row(area);
        if row.0.insert(id, micros).is_some() {
            let message = format!("region {region} appears twice for this area; keep one entry");
            return self.fault(at.to_owned(), message);
        }
        self.table.entries += 1;
    }
}

/// Milliseconds as microseconds.
fn micros(milliseconds: f64) -> Result<u32, String> {
    if !(0.0..=MAX_MILLISECONDS).contains(&milliseconds) {
        return Err(format!(
            "{milliseconds} is out of range: latency is 0 to {MAX_MILLISECONDS} milliseconds"
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 to 60 million by the check above"
    )]
    Ok((milliseconds * 1000.0).round() as u32)
}
