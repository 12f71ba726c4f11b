//! See `toprung_inputs::export`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::export(bytes));
