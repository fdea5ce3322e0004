//! Pieces of what one side says: each with the time at which it is due on the other.

use std::future::Future;
use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Faults;

/// Bytes of a piece, at most.
const PIECE: usize = 16 * 1024;
/// Pieces that wait: with those, one direction holds a megabyte.
const WAITING: usize = 64;
/// Into so many parts a second is cut where bandwidth is short.
const PARTS: u32 = 20;

/// A piece, and when it may be passed on.
pub(super) struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

pub(super) fn queue() -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
    mpsc::channel(WAITING)
}

/// Reads until the other side ends, or nobody passes on any more.
pub(super) async fn read(
    mut from: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<Piece>,
    faults: impl Fn() -> Faults,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut number = 0_u32;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        number = number.wrapping_add(1);
        let due = Instant::now() + delay(&faults(), number);
        let piece = Piece { due, bytes: buffer[..read].to_vec() };
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

/// How much later the piece of this number comes.
pub(super) fn delay(faults: &Faults, number: u32) -> Duration {
    let stall = match faults.loss {
        Some(loss) if number.is_multiple_of(loss.one_of.get()) => loss.stall,
        _ => Duration::ZERO,
    };
    faults.latency + stall
}

/// Passes on what is due, in its order, and at last that there is no more.
pub(super) async fn write<F: Future<Output = ()>>(
    mut to: impl AsyncWrite + Unpin,
    mut pieces: mpsc::Receiver<Piece>,
    faults: impl Fn() -> Faults,
    until_open: impl Fn() -> F,
) -> io::Result<()> {
    while let Some(Piece { due, bytes }) = pieces.recv().await {
        until(due).await;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            until_open().await;
            let bandwidth = faults().bandwidth;
            let (part, after) = rest.split_at(part_of(rest.len(), bandwidth));
            until(Instant::now() + time_for(part.len(), bandwidth)).await;
            to.write_all(part).await?;
            rest = after;
        }
    }
    until_open().await;
    to.shutdown().await
}

/// Waits only where there is something to wait for: timers round up to milliseconds.
async fn until(due: Instant) {
    if due > Instant::now() {
        tokio::time::sleep_until(due).await;
    }
}

/// How much of so many bytes goes at once.
fn part_of(length: usize, bandwidth: Option<NonZeroU32>) -> usize {
    let most = bandwidth.map_or(u32::MAX, |bytes| bytes.get().div_ceil(PARTS));
    length.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// How long so many bytes take.
pub(super) fn time_for(length: usize, bandwidth: Option<NonZeroU32>) -> Duration {
    let Some(bandwidth) = bandwidth else { return Duration::ZERO };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    Duration::from_secs(1) * length / bandwidth.get()
}
