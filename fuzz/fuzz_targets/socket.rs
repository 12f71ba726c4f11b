//! See `toprung_inputs::socket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::socket(bytes));
