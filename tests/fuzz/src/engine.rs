//! The binary of `make fuzz`: libFuzzer drives the target that `HIGHWATER_FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use highwater_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("HIGHWATER_FUZZ_TARGET").expect("HIGHWATER_FUZZ_TARGET names a target");
    Target::named(&name).unwrap_or_else(|| panic!("no target is called {name}"))
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
