//! See `toprung_inputs::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::journal(bytes));
