//! Messages of protocol buffers as JSON that people can read, and back, byte for byte.

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value};

use crate::Error;

/// Knows the messages that stores hold.
pub(super) struct Messages {
    pool: DescriptorPool,
}

impl Messages {
    pub(super) fn new() -> Result<Self, Error> {
        let pool = DescriptorPool::decode(toprung_proto::DESCRIPTORS);
        Ok(Self { pool: pool.map_err(|error| Error::broken("descriptor", error))? })
    }

    /// Adds the bytes of a message to a line: as JSON under `value`, or, when that would not give the same bytes back,
    /// in hexadecimal under `bytes`.
    pub(super) fn put(&self, line: &mut Map<String, Value>, name: Option<&str>, bytes: &[u8]) {
        let value = name.and_then(|name| {
            let value = self.to_json(name, bytes)?;
            (self.to_bytes(name, &value).as_deref() == Some(bytes)).then_some(value)
        });
        match value {
            Some(value) => line.insert("value".to_owned(), value),
            None => line.insert("bytes".to_owned(), hexadecimal(bytes).into()),
        };
    }

    /// The bytes that [`Messages::put`] added.
    pub(super) fn take(&self, line: &Value, name: Option<&str>) -> Option<Vec<u8>> {
        match (line.get("value"), line.get("bytes")) {
            (Some(value), None) => self.to_bytes(name?, value),
            (None, Some(bytes)) => from_hexadecimal(bytes.as_str()?),
            _ => None,
        }
    }

    /// Whether the bytes are a message of this name.
    pub(super) fn is(&self, name: &str, bytes: &[u8]) -> bool {
        self.decode(name, bytes).is_some()
    }

    fn decode(&self, name: &str, bytes: &[u8]) -> Option<DynamicMessage> {
        let descriptor = self.pool.get_message_by_name(&format!("toprung.v1.{name}"))?;
        DynamicMessage::decode(descriptor, bytes).ok()
    }

    fn to_json(&self, name: &str, bytes: &[u8]) -> Option<Value> {
        let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
        self.decode(name, bytes)?.serialize_with_options(serde_json::value::Serializer, &options).ok()
    }

    fn to_bytes(&self, name: &str, value: &Value) -> Option<Vec<u8>> {
        use prost::Message as _;
        let descriptor = self.pool.get_message_by_name(&format!("toprung.v1.{name}"))?;
        Some(DynamicMessage::deserialize(descriptor, value).ok()?.encode_to_vec())
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(super) fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// A time in milliseconds since 1970 as people write it, in UTC.
pub(super) fn time(unix_ms: i64) -> String {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    // Years that begin in March, so that the leap day is the last of the year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use toprung_proto::v1::{Metric, Report};

    use super::*;

    #[test]
    fn every_number_comes_back() {
        let messages = Messages::new().unwrap();
        for value in [0.0, -0.0, 0.1, 1e-310, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let report = Report {
                group: 2,
                length: u64::MAX,
                metrics: vec![Metric { name: "loss \u{7}".to_owned(), value }],
                time_unix_ms: i64::MIN,
            };
            let bytes = report.encode_to_vec();
            let mut line = Map::new();
            messages.put(&mut line, Some("Report"), &bytes);
            assert!(line.contains_key("value"), "{value}: {line:?}");
            let text = Value::Object(line).to_string();
            let line: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(messages.take(&line, Some("Report")), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_stays_as_it_is() {
        let messages = Messages::new().unwrap();
        for bytes in [b"\xff\xff".to_vec(), Vec::new(), b"\xa0\x3f\x01".to_vec()] {
            let mut line = Map::new();
            messages.put(&mut line, Some("Report"), &bytes);
            assert_eq!(messages.take(&Value::Object(line), Some("Report")), Some(bytes));
        }
        assert_eq!(from_hexadecimal("0"), None);
        assert_eq!(from_hexadecimal("0g"), None);
    }

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(time(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
    }
}
