//! See `toprung_inputs::api`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| toprung_inputs::api(bytes));
