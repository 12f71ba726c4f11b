//! Numbers, texts and requests that make trouble if anything does.

use arbitrary::{Result, Unstructured};

/// Lengths, counts, sequences: the edges, and small ones that mean something.
pub(crate) fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    let edges = [0, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 53, u64::from(u32::MAX), 1 << 32];
    if u.ratio(1, 6)? { u.choose(&edges).copied() } else { u.int_in_range(0..=12) }
}

/// Numbers of trials and attempts.
pub(crate) fn small(u: &mut Unstructured<'_>) -> Result<u32> {
    let edges = [0, u32::MAX, u32::MAX - 1, 1 << 31, i32::MAX as u32];
    if u.ratio(1, 12)? { u.choose(&edges).copied() } else { u.int_in_range(0..=5) }
}

/// Enumerations, process numbers, signals.
pub(crate) fn signed(u: &mut Unstructured<'_>) -> Result<i32> {
    if u.ratio(1, 6)? { u.choose(&[i32::MIN, i32::MAX, -1]).copied() } else { u.int_in_range(0..=11) }
}

/// Times.
pub(crate) fn time(u: &mut Unstructured<'_>) -> Result<i64> {
    if u.ratio(1, 6)? { u.choose(&[i64::MIN, i64::MAX, -1, 0]).copied() } else { u.int_in_range(0..=1 << 41) }
}

/// Values of metrics.
pub(crate) fn float(u: &mut Unstructured<'_>) -> Result<f64> {
    let edges = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::MIN_POSITIVE];
    if u.ratio(1, 4)? { u.choose(&edges).copied() } else { Ok(f64::from(u.int_in_range(0..=20_u8)?) / 8.0) }
}

/// Names and other texts: empty, ordinary, odd, and long ones.
pub(crate) fn text(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=15)? {
        0 => String::new(),
        1 => "loss".repeat(usize::from(u.int_in_range(1..=40_000_u16)?)),
        2 => "\0\r\n\u{1b}[31m\u{202e}é".to_owned(),
        3 => u.arbitrary::<String>()?,
        4 => "../../etc".to_owned(),
        5..=8 => "one".to_owned(),
        9 => "two".to_owned(),
        _ => "loss".to_owned(),
    })
}

/// What trials say.
pub(crate) fn conversations() -> Vec<Vec<u8>> {
    [
        r#"{"type":"hello","sdk":"python","version":"1"}
{"type":"next","length":0}
{"type":"report","group":"training","length":1,"unit":"batches","metrics":{"loss":NaN}}
{"type":"report","group":"validation","length":1,"metrics":{"loss":0.5,"x":"Infinity"}}
{"type":"checkpoint","length":1,"directory":"incomplete-1"}
{"type":"next","length":1}
{"type":"status"}
"#,
        r#"{"type":"checkpoint","length":18446744073709551615,"unit":"epochs","directory":"../incomplete-1"}
{"type":"progress","fraction":1e400}
{"type":"invalid_hyperparameters","reason":"too small"}
{"type":"report","group":"validation","length":9,"unit":"records","metrics":{"":1e-400,"loss":true}}
{"type":"next","length":9}
"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
