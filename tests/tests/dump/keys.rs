//! The private halves of signing keys, opened as the server opens them: by the key in the key file.

use std::fs;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use postern_e2e::gateway::Gateway;
use postern_store::durable::{DurableStore as _, SigningKeyRecord};
use postern_store_sql::SqlStore;

use super::secrets::Secrets;

/// What stands between the public numbers of an RSA key and the private ones (RFC 8017 A.1.2): the
/// public exponent, 65537.
const EXPONENT: [u8; 5] = [2, 3, 1, 0, 1];

/// The server has seen all of them.
pub async fn of_the_server(gateway: &Gateway, secrets: &mut Secrets) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let text = fs::read_to_string(durable.key_file()).expect("the key file");
    secrets.saw("key-encryption key", text.trim());
    let sealer = of_hex(text.trim());
    secrets.saw_bytes("key-encryption key", &sealer);
    let store = SqlStore::open_migrated(durable.address()).await.expect("the store");
    let keys = store.list_signing_keys().await.expect("the keys");
    assert!(!keys.is_empty(), "the server signs");
    for key in keys {
        assert_eq!(key.algorithm, "RS256");
        secrets.saw_bytes("private half of a signing key", &private_numbers(&sealer, &key));
        secrets.knows(&key.kid);
    }
}

fn private_numbers(sealer: &[u8], key: &SigningKeyRecord) -> Vec<u8> {
    let clear = opened(sealer, key);
    let exponent = clear.windows(EXPONENT.len()).position(|window| window == EXPONENT);
    let numbers = &clear[exponent.expect("an RSA key") + EXPONENT.len()..];
    assert!(numbers.len() > 800, "d, p, q and what is made of them: {}", numbers.len());
    numbers.to_vec()
}

/// A version, a nonce, and what AES-256-GCM has made, bound to the key's id.
fn opened(sealer: &[u8], key: &SigningKeyRecord) -> Vec<u8> {
    let (head, sealed) = key.private_sealed.0.split_at(1 + NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&head[1..]).expect("a nonce");
    let bound_to = format!("postern:signing-key:1:{}", key.kid);
    let mut clear = sealed.to_vec();
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, sealer).expect("a key");
    let opened = cipher.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut clear);
    opened.expect("nothing but the key in the file opens it").to_vec()
}

fn of_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).expect("a digit")).collect();
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]);
    bytes.map(|byte| u8::try_from(byte).expect("a byte")).collect()
}
