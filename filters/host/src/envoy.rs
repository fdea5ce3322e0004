//! Envoy through the proxy-wasm SDK.

use std::time::UNIX_EPOCH;

use postern_filter_shared_data::SharedData;
use postern_request::UnixMillis;
use prost::Message as _;
use proxy_wasm::hostcalls;
use sha2::{Digest as _, Sha256};

use crate::RequestHost;
use crate::foreign::{ForeignFunctions, SignArguments};

/// The Envoy around this VM.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvoyHost;

impl RequestHost for EnvoyHost {
    fn now(&self) -> UnixMillis {
        let since =
            hostcalls::get_current_time().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        UnixMillis(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }

    // Made by the first VM that asks, read by all others. It comes from the nonce of an ECDSA
    // signature by the host, the only randomness that every Envoy offers to WASM without
    // imports of its own; a host without `sign` gives only clocks.
    fn seed(&self) -> (u128, bool) {
        let (fresh, random) = self.fresh_seed();
        let bytes = [fresh.to_le_bytes().as_slice(), &[u8::from(random)]].concat();
        let _ = self.set(SEED_KEY, &bytes, None);
        let Some((bytes, _)) = self.get(SEED_KEY) else {
            return (fresh, random);
        };
        match (bytes.first_chunk::<16>(), bytes.get(16)) {
            (Some(seed), Some(random)) => (u128::from_le_bytes(*seed), *random == 1),
            _ => (fresh, random),
        }
    }
}

impl SharedData for EnvoyHost {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            // The SDK tells an empty value as none, with its version.
            Ok((value, Some(version))) => Some((value.unwrap_or_default(), version)),
            _ => None,
        }
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        // A version that never occurs: written where there is no value, refused otherwise.
        const NEVER: u32 = u32::MAX;
        hostcalls::set_shared_data(key, Some(value), Some(version.unwrap_or(NEVER))).is_ok()
    }

    fn put(&self, key: &str, value: &[u8]) {
        let _ = hostcalls::set_shared_data(key, Some(value), None);
    }
}

impl ForeignFunctions for EnvoyHost {
    fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        hostcalls::call_foreign_function(name, Some(arguments)).ok().flatten()
    }
}

/// Where the seed of all keyed hashes lives, so that workers agree on the slots.
const SEED_KEY: &str = "postern.seed";

/// PKCS#8 of the P-256 key with the private number 1: not a secret, only a way to ask BoringSSL
/// for an ECDSA signature, whose nonce is random.
const UNIT_KEY: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x01,
];

impl EnvoyHost {
    fn fresh_seed(self) -> (u128, bool) {
        let sign = |text: &[u8]| {
            let arguments = SignArguments {
                hash_function: "sha256".to_owned(),
                private_key: UNIT_KEY.to_vec(),
                text: text.to_vec(),
            };
            self.call("sign", &arguments.encode_to_vec())
        };
        let (first, second) = (sign(b"postern seed"), sign(b"postern seed"));
        // Equal answers would mean deterministic nonces, which hold no secret.
        let random = first.is_some() && first != second;
        let mut hash = Sha256::new();
        hash.update(first.unwrap_or_default());
        hash.update(second.unwrap_or_default());
        hash.update(self.now().0.to_le_bytes());
        let nanos = hostcalls::get_current_time()
            .ok()
            .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_nanos());
        hash.update(nanos.to_le_bytes());
        let digest = hash.finalize();
        (digest.first_chunk::<16>().map_or(0, |bytes| u128::from_le_bytes(*bytes)), random)
    }
}
