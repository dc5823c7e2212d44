//! What an NBD server says before it serves.
#![no_main]

use agent_blocks::nbd::replay_handshake;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let contexts = ["base:allocation", "qemu:dirty-bitmap:b"].map(str::to_owned);
    // Whatever is wrong with it, an error says so.
    let _export = replay_handshake(bytes, "disk", &contexts);
});
