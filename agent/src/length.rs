//! Lengths in one unit. Scripts report in epochs, batches or records; the engine knows only the searcher's time metric.

use toprung_proto::v1::LengthConversion;

/// `length` in `unit` as a length in `time_metric`, rounded down: a length is training that is finished.
///
/// No unit, or the time metric itself (also in the singular), is taken as it is. The error says what is missing.
pub(crate) fn convert(
    length: u64,
    unit: Option<&str>,
    time_metric: &str,
    conversion: LengthConversion,
) -> Result<u64, String> {
    let Some(unit) = unit.filter(|unit| !unit.is_empty() && !names_unit(unit, time_metric)) else {
        return Ok(length);
    };
    let from = records_per(unit, conversion).ok_or_else(|| {
        format!("a length in {unit} is not known; allowed are batches, records, epochs and {time_metric}")
    })?;
    let to = records_per(time_metric, conversion).ok_or_else(|| {
        format!("a length in {unit} cannot become one in {time_metric}; report it in {time_metric}")
    })?;
    if from == 0 || to == 0 {
        return Err(format!(
            "a length in {unit} becomes one in {time_metric} only if the experiment says how: it needs \
             records_per_epoch and global_batch_size; or report in {time_metric}"
        ));
    }
    let converted = u128::from(length) * u128::from(from) / u128::from(to);
    u64::try_from(converted).map_err(|_| format!("the length {length} {unit} is too large"))
}

/// Whether `name` is the unit `unit` or its singular (`epoch` for `epochs`).
pub(crate) fn names_unit(name: &str, unit: &str) -> bool {
    name == unit || unit.strip_suffix('s') == Some(name)
}

/// The known unit that `name` means, in the plural.
pub(crate) fn known_unit(name: &str) -> Option<&'static str> {
    ["batches", "records", "epochs"]
        .into_iter()
        .find(|unit| names_unit(name, unit) || (*unit == "batches" && name == "batch"))
}

/// Records in one `unit`; 0 if the experiment does not say, `None` for a unit of the script's own.
fn records_per(unit: &str, conversion: LengthConversion) -> Option<u64> {
    match known_unit(unit)? {
        "records" => Some(1),
        "batches" => Some(conversion.records_per_batch),
        _ => Some(conversion.records_per_epoch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: LengthConversion = LengthConversion { records_per_epoch: 1000, records_per_batch: 64 };
    const UNKNOWN: LengthConversion = LengthConversion { records_per_epoch: 0, records_per_batch: 0 };

    #[test]
    fn same_unit_needs_no_conversion() {
        assert_eq!(convert(7, None, "epochs", UNKNOWN), Ok(7));
        assert_eq!(convert(7, Some("epochs"), "epochs", UNKNOWN), Ok(7));
        assert_eq!(convert(7, Some("epoch"), "epochs", UNKNOWN), Ok(7));
        assert_eq!(convert(7, Some("steps"), "steps", UNKNOWN), Ok(7));
    }

    #[test]
    fn units_convert_rounding_down() {
        assert_eq!(convert(2, Some("epochs"), "batches", KNOWN), Ok(31));
        assert_eq!(convert(32, Some("batches"), "epochs", KNOWN), Ok(2));
        assert_eq!(convert(31, Some("batches"), "epochs", KNOWN), Ok(1));
        assert_eq!(convert(3, Some("epochs"), "records", KNOWN), Ok(3000));
    }

    #[test]
    fn impossible_conversions_say_what_is_missing() {
        let error = convert(1, Some("batches"), "epochs", UNKNOWN).unwrap_err();
        assert!(error.contains("needs records_per_epoch and global_batch_size"), "{error}");
        assert!(convert(1, Some("steps"), "epochs", KNOWN).unwrap_err().contains("allowed are batches"));
        assert!(convert(u64::MAX, Some("epochs"), "records", KNOWN).unwrap_err().contains("too large"));
    }
}
