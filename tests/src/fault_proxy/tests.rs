//! An echo behind the proxy.

use std::io::ErrorKind;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const LONGEST: Duration = Duration::from_secs(20);
/// How long a test waits to see that nothing comes.
const A_WHILE: Duration = Duration::from_millis(150);

/// A place that says back what it is told, and a proxy in front of it.
async fn echo() -> FaultProxy {
    let listener = TcpListener::bind(ports::local(0)).await.unwrap();
    let proxy = FaultProxy::to(listener.local_addr().unwrap()).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    proxy
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends this, and waits until it is back.
async fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    stream.write_all(bytes).await.unwrap();
    assert_eq!(heard(stream, bytes.len()).await, bytes);
    began.elapsed()
}

async fn heard(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    timeout(LONGEST, stream.read_exact(&mut heard)).await.expect("an echo").unwrap();
    heard
}

/// What ends a connection that was broken off.
async fn end_of(stream: &mut TcpStream) -> ErrorKind {
    let read = timeout(LONGEST, stream.read(&mut [0; 8])).await.expect("an end");
    read.expect_err("a connection that was broken off").kind()
}

fn many(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

#[tokio::test]
async fn what_is_said_comes_as_it_was_said_and_so_does_its_end() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let (mut from, mut to) = stream.split();
    let (sent, heard) = tokio::join!(
        async {
            to.write_all(&bytes).await.unwrap();
            to.shutdown().await
        },
        async {
            let mut heard = Vec::new();
            timeout(LONGEST, from.read_to_end(&mut heard)).await.unwrap().unwrap();
            heard
        }
    );
    sent.unwrap();
    assert!(heard == bytes, "{} of {} bytes came back", heard.len(), bytes.len());
}

#[tokio::test]
async fn latency_counts_each_way_and_can_be_taken_away() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.switch(Way::slow(Duration::from_millis(60))).await;
    assert!(there_and_back(&mut stream, b"late").await >= Duration::from_millis(120));
    proxy.switch(Way::FREE).await;
    there_and_back(&mut stream, b"again").await;
}

#[tokio::test]
async fn what_comes_behind_does_not_wait_for_latency_twice() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.switch(Way::slow(Duration::from_millis(200))).await;
    let began = Instant::now();
    // Apart enough to be pieces of their own.
    for _ in 0..5 {
        stream.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    heard(&mut stream, 5).await;
    assert!(began.elapsed() < Duration::from_millis(5 * 2 * 200), "{:?}", began.elapsed());
}

#[test]
fn every_so_manieth_piece_is_lost_and_sent_again() {
    let stall = Duration::from_millis(200);
    let latency = Duration::from_millis(3);
    let faults = Faults { latency, loss: Some(Loss { one_of: many(3), stall }), bandwidth: None };
    let late: Vec<u32> =
        (1..=9).filter(|number| piece::delay(&faults, *number) == latency + stall).collect();
    assert_eq!(late, [3, 6, 9]);
    assert_eq!(piece::delay(&faults, 4), latency);
}

#[tokio::test]
async fn a_lost_piece_holds_up_what_comes_behind_it_and_changes_no_order() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let loss = Some(Loss { one_of: many(1), stall: Duration::from_millis(80) });
    proxy.switch(Way::Open(Faults { loss, ..Faults::default() })).await;
    assert!(there_and_back(&mut stream, b"first").await >= Duration::from_millis(160));
    proxy.switch(Way::FREE).await;
    there_and_back(&mut stream, b"second").await;
}

#[tokio::test]
async fn bandwidth_bounds_what_comes_in_a_second() {
    assert_eq!(piece::time_for(500, Some(many(1_000))), Duration::from_millis(500));
    assert_eq!(piece::time_for(500, None), Duration::ZERO);
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let bandwidth = Some(many(20_000));
    proxy.switch(Way::Open(Faults { bandwidth, ..Faults::default() })).await;
    // A fifth of what passes in a second, and back.
    assert!(there_and_back(&mut stream, &[7; 4_000]).await >= Duration::from_millis(190));
}

#[tokio::test]
async fn half_open_nothing_comes_through_and_nothing_is_lost() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    there_and_back(&mut stream, b"before").await;
    proxy.switch(Way::HalfOpen).await;
    stream.write_all(b"held").await.unwrap();
    let mut new = connect(&proxy).await;
    new.write_all(b"held too").await.unwrap();
    for stream in [&mut stream, &mut new] {
        assert!(timeout(A_WHILE, stream.read(&mut [0; 8])).await.is_err(), "something came");
    }
    proxy.switch(Way::FREE).await;
    assert_eq!(heard(&mut stream, 4).await, b"held");
    assert_eq!(heard(&mut new, 8).await, b"held too");
}

#[tokio::test]
async fn refused_nobody_listens_and_nothing_stands() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    there_and_back(&mut stream, b"before").await;
    for _ in 0..3 {
        proxy.switch(Way::Refused).await;
        let refused = TcpStream::connect(proxy.address()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        proxy.switch(Way::FREE).await;
        there_and_back(&mut connect(&proxy).await, b"again").await;
    }
    assert_eq!(end_of(&mut stream).await, ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn reset_ends_what_stands_and_takes_what_comes() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    there_and_back(&mut stream, b"before").await;
    proxy.reset();
    assert_eq!(end_of(&mut stream).await, ErrorKind::ConnectionReset);
    there_and_back(&mut connect(&proxy).await, b"again").await;
}

#[tokio::test]
async fn where_nobody_is_behind_it_connections_are_broken_off() {
    let proxy = FaultProxy::to_port(ports::free()).await;
    assert_eq!(end_of(&mut connect(&proxy).await).await, ErrorKind::ConnectionReset);
}
