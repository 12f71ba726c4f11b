//! The kernel sources through NVRTC, which needs no GPU. `ci/nvrtc.sh` installs it from its Python wheel and runs these tests.

use crate::cuda::{Target, can_compile, compile};
use crate::gpu::Source;

/// Set where NVRTC must be there, so that nothing is skipped.
const REQUIRED: &str = "TOPRUNG_NVRTC";

fn is_skipped() -> bool {
    if can_compile() {
        return false;
    }
    assert!(
        std::env::var_os(REQUIRED).is_none(),
        "{REQUIRED} is set, and libnvrtc is not found by the loader"
    );
    eprintln!("skipped: libnvrtc is not found by the loader (see kernels/ci/nvrtc.sh)");
    true
}

#[test]
fn every_source_compiles_for_every_generation_since_ampere() {
    if is_skipped() {
        return;
    }
    for source in Source::ALL {
        for capability in [80, 86, 89, 90] {
            let image =
                compile(source, Target::Machine(capability)).unwrap_or_else(|error| panic!("{error}"));
            assert!(image.starts_with(b"\x7fELF"), "{} for {capability}", source.file());
        }
        let text = compile(source, Target::Virtual(80)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(".target sm_80") && text.ends_with('\0'), "{}", source.file());
    }
}

#[test]
fn nothing_is_contracted_but_what_says_so() {
    if is_skipped() {
        return;
    }
    for source in [Source::Histogram, Source::Replicates, Source::Selection, Source::RunningBest] {
        let text = String::from_utf8(compile(source, Target::Virtual(90)).unwrap()).unwrap();
        // Division of two numbers is made of fused steps; it rounds correctly all the same, and is no instruction here.
        assert!(!text.contains("fma.rn"), "{}", source.file());
    }
}

#[test]
fn arrays_are_read_in_loads_of_sixteen_bytes() {
    if is_skipped() {
        return;
    }
    let text = String::from_utf8(compile(Source::Reductions, Target::Virtual(90)).unwrap()).unwrap();
    assert!(text.contains("ld.global.v4.f32") && text.contains("ld.global.v2.f64"));
}

#[test]
fn a_gpu_newer_than_nvrtc_gets_portable_code() {
    if is_skipped() {
        return;
    }
    assert_eq!(Target::of(90).unwrap(), Target::Machine(90));
    assert!(matches!(Target::of(9999).unwrap(), Target::Virtual(newest) if newest >= 90));
}
