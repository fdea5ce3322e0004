//! Signatures and nothing else: what a token costs before anybody has asked for one.
//!
//! A program of its own (`postern-bench sign`), on one thread, so that its CPU time is measured as
//! that of every server. Whoever connects says for how many seconds it is to sign, and is told
//! what came of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::latencies::Latencies;
use crate::outcome::Outcome;

/// As long as header and claims of a client's access token are, in base64url.
const SIGNED: [u8; 480] = [b'a'; 480];
/// Longer than any run.
const MOST_SECONDS: u32 = 600;
/// Beyond the duration: connecting, reporting.
const SPARE: Duration = Duration::from_secs(20);

/// Signs for one caller after the other, until it is killed.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let pair = pair()?;
    let listener = TcpListener::bind(address).await.context("listening")?;
    loop {
        let (stream, _) = listener.accept().await.context("waiting for callers")?;
        // A caller that goes away is no reason to end.
        if let Err(error) = answer(stream, &pair).await {
            eprintln!("postern-bench: {error:#}");
        }
    }
}

/// Lets [`serve`] sign for so many seconds; each request of what comes of it is a signature.
pub async fn run(server: SocketAddr, seconds: u32) -> Result<Outcome> {
    let mut stream = TcpStream::connect(server).await.context("connecting to what signs")?;
    stream.write_u32(seconds).await.context("asking for signatures")?;
    let mut report = String::new();
    let longest = Duration::from_secs(seconds.into()) + SPARE;
    let read = timeout(longest, stream.read_to_string(&mut report)).await;
    read.context("signing does not end")?.context("reading what came of signing")?;
    Outcome::read(&report).with_context(|| format!("what signs said {report:?}"))
}

/// A key of the kind that the server makes, read as the server reads it: once.
fn pair() -> Result<RsaKeyPair> {
    let made = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("making a key"))?;
    let der: Pkcs8V1Der<'static> = made.as_der().map_err(|_| anyhow!("writing a key"))?;
    RsaKeyPair::from_pkcs8(der.as_ref()).map_err(|error| anyhow!("reading a key: {error}"))
}

async fn answer(mut stream: TcpStream, pair: &RsaKeyPair) -> Result<()> {
    // Whoever only looks whether somebody listens says nothing.
    let Ok(seconds) = stream.read_u32().await else { return Ok(()) };
    // Nobody else is served meanwhile: this is the one thread.
    let outcome = sign_for(pair, Duration::from_secs(seconds.min(MOST_SECONDS).into()))?;
    stream.write_all(outcome.line().as_bytes()).await.context("saying what came of signing")
}

fn sign_for(pair: &RsaKeyPair, longest: Duration) -> Result<Outcome> {
    let random = SystemRandom::new();
    let mut signature = vec![0; pair.public_modulus_len()];
    let latencies = Latencies::default();
    let began = Instant::now();
    while began.elapsed() < longest {
        let before = Instant::now();
        pair.sign(&RSA_PKCS1_SHA256, &random, &SIGNED, &mut signature)
            .map_err(|_| anyhow!("a signature failed"))?;
        latencies.add(before.elapsed());
    }
    Ok(latencies.outcome(began.elapsed(), 0))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn what_is_measured_is_a_signature_of_2048_bits() {
        let pair = pair().unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        assert_eq!(signature.len(), 256);
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &SIGNED, &mut signature).unwrap();
        let public = UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            pair.public_key().as_ref().to_vec(),
        );
        assert!(public.verify(&SIGNED, &signature).is_ok());
    }

    #[tokio::test]
    async fn a_caller_is_told_how_many_there_were() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let asked = tokio::spawn(run(server, 1));
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, &pair().unwrap()).await.unwrap();
        let outcome = asked.await.unwrap().unwrap();
        assert!(outcome.requests > 0 && outcome.micros >= 1_000_000, "{outcome:?}");
        assert_eq!((outcome.bad_status, outcome.broken), (0, 0));
        assert!(outcome.p50_micros > 0 && outcome.p99_micros >= outcome.p50_micros);
    }

    #[tokio::test]
    async fn who_only_looks_is_told_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, &pair().unwrap()).await.unwrap();
    }
}
