//! See `toprung_inputs::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::config(bytes));
