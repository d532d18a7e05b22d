//! Triggers as a store holds them: MessagePack.
#![no_main]

mod asked;

use libfuzzer_sys::fuzz_target;
use scheduler_core::trigger::TriggerSpec;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(spec) = rmp_serde::from_slice::<TriggerSpec>(bytes) {
        asked::resolve_and_ask(&spec);
    }
});
