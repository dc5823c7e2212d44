//! `manifest.json`.
#![no_main]

use agent_format::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::from_slice(bytes) else {
        return;
    };
    let json = manifest.to_vec().expect("what was accepted is consistent");
    let again = Manifest::from_slice(&json).expect("and comes back");
    assert_eq!(again, manifest);
});
