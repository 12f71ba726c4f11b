//! See `toprung_inputs::agents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::agents(bytes));
