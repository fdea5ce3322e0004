//! A TCP proxy that does what networks do: it is slow, loses packets, stands still, breaks off.
//! Switched while it runs; nothing in it is left to chance.
//!
//! One piece, as it was read, is what latency, loss and bandwidth are about. A TCP connection
//! loses nothing for good: a lost packet is one that comes late, and all behind it wait. So that is
//! what loss does here, to every so-manieth piece of each direction.
//!
//! Bounded: so many connections, so many pieces that wait in each direction of one.

mod piece;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::{ports, wait};

/// At the same time; more wait until one of them ends.
const CONNECTIONS: usize = 1_024;
/// Until somebody listens again, or nobody does.
const SWITCHED: Duration = Duration::from_secs(10);

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// How much later each piece comes, in each direction.
    pub latency: Duration,
    /// Packets that are lost and sent again.
    pub loss: Option<Loss>,
    /// Bytes a second, in each direction of each connection.
    pub bandwidth: Option<NonZeroU32>,
}

/// What losing packets costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// One piece of so many.
    pub one_of: NonZeroU32,
    /// How much later it comes: until the sender tries again, which takes TCP 200 ms at least.
    pub stall: Duration,
}

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Open, with these faults.
    Open(Faults),
    /// Connections stand, also new ones, and nothing comes through: the other end is gone without
    /// a word, or hangs. What waits goes on when the way is open again.
    HalfOpen,
    /// Nobody listens, and connections are broken off.
    Refused,
}

impl Way {
    /// Without any fault.
    pub const FREE: Self =
        Self::Open(Faults { latency: Duration::ZERO, loss: None, bandwidth: None });

    /// Everything comes so much later, each way.
    #[must_use]
    pub const fn slow(latency: Duration) -> Self {
        Self::Open(Faults { latency, loss: None, bandwidth: None })
    }
}

/// What all connections look at.
#[derive(Debug, Clone, Copy)]
struct Switch {
    /// Where new ones lead.
    to: SocketAddr,
    way: Way,
    /// How often connections were broken off.
    broken: u64,
}

/// A proxy in front of one place; gone with this value, and all connections with it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    switch: watch::Sender<Switch>,
    listens: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of this machine, and leads to `to`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn to(to: SocketAddr) -> Self {
        let address = ports::local(ports::free());
        let listener = TcpListener::bind(address).await.expect("a listener for the proxy");
        let (switch, switched) = watch::channel(Switch { to, way: Way::FREE, broken: 0 });
        let (listening, listens) = watch::channel(true);
        let doors = Doors { address, switched, listening };
        let task = tokio::spawn(doors.keep(listener));
        Self { address, switch, listens, task }
    }

    /// The same, to a port of this machine.
    ///
    /// # Panics
    /// As [`FaultProxy::to`].
    pub async fn to_port(port: u16) -> Self {
        Self::to(ports::local(port)).await
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on the way is like this. When it returns, whoever comes finds it so.
    ///
    /// # Panics
    /// When the port is not to be had again.
    pub async fn switch(&self, way: Way) {
        self.switch.send_modify(|switch| {
            switch.way = way;
            switch.broken += u64::from(way == Way::Refused);
        });
        let wanted = way != Way::Refused;
        wait::until("proxy that is switched", SWITCHED, || {
            let is_so = *self.listens.borrow() == wanted;
            async move { if is_so { Ok(()) } else { Err("it is not yet") } }
        })
        .await;
    }

    /// From now on new connections lead there.
    pub fn lead_to(&self, to: SocketAddr) {
        self.switch.send_modify(|switch| switch.to = to);
    }

    /// Breaks off all connections that stand, as a peer that crashed does. New ones are taken.
    pub fn reset(&self) {
        self.switch.send_modify(|switch| switch.broken += 1);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where connections come in.
struct Doors {
    address: SocketAddr,
    switched: watch::Receiver<Switch>,
    listening: watch::Sender<bool>,
}

impl Doors {
    async fn keep(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut listener = Some(listener);
        loop {
            if self.switched.borrow_and_update().way == Way::Refused {
                listener = None;
            } else if listener.is_none() {
                // The kernel may need a moment to let go of the port.
                listener = TcpListener::bind(self.address).await.ok();
            }
            self.listening.send_replace(listener.is_some());
            let turned = match &listener {
                Some(listener) => self.take(listener, &mut connections).await,
                None if self.switched.borrow().way == Way::Refused => self.switched.changed().await,
                None => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(())
                }
            };
            if turned.is_err() {
                return;
            }
        }
    }

    /// Takes connections until something is switched.
    async fn take(
        &mut self,
        listener: &TcpListener,
        connections: &mut JoinSet<()>,
    ) -> Result<(), watch::error::RecvError> {
        loop {
            while connections.len() >= CONNECTIONS {
                connections.join_next().await;
            }
            tokio::select! {
                turned = self.switched.changed() => return turned,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => {
                    if let Ok((client, _)) = accepted {
                        connections.spawn(carry(client, self.switched.clone()));
                    }
                }
            }
        }
    }
}

/// Carries what two ends say to each other, until one of them has had enough or the way is broken.
async fn carry(mut client: TcpStream, switched: watch::Receiver<Switch>) {
    let broken = until_broken(switched.clone());
    tokio::pin!(broken);
    let connecting = async {
        until_open(switched.clone()).await;
        let to = switched.borrow().to;
        TcpStream::connect(to).await
    };
    let connected = tokio::select! {
        () = &mut broken => None,
        connected = connecting => connected.ok(),
    };
    let Some(mut server) = connected else {
        break_off(&client);
        return;
    };
    // Small pieces go at once, as they came.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_whole = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            let there = pass(from_client, to_server, &switched);
            let back = pass(from_server, to_client, &switched);
            let ended = tokio::try_join!(there, back);
            // Nobody hears of an end while nothing comes through.
            until_open(switched.clone()).await;
            ended.is_ok()
        };
        tokio::select! {
            () = &mut broken => false,
            is_whole = both => is_whole,
        }
    };
    if !is_whole {
        break_off(&client);
        break_off(&server);
    }
}

/// The end that comes with the next drop is one that the other side takes for a crash.
fn break_off(stream: &TcpStream) {
    // It fails where the other side was faster.
    let _ = stream.set_zero_linger();
}

/// Until connections are broken off that stand now.
async fn until_broken(mut switched: watch::Receiver<Switch>) {
    let now = switched.borrow().broken;
    // Whoever switches may be gone; then this task is, too.
    let _ = switched.wait_for(|switch| switch.broken > now).await;
}

/// Until something comes through.
async fn until_open(mut switched: watch::Receiver<Switch>) {
    let _ = switched.wait_for(|switch| matches!(switch.way, Way::Open(_))).await;
}

/// Passes on what one side says, until it ends.
async fn pass(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    switched: &watch::Receiver<Switch>,
) -> io::Result<()> {
    let (sender, pieces) = piece::queue();
    let faults = || match switched.borrow().way {
        Way::Open(faults) => faults,
        Way::HalfOpen | Way::Refused => Faults::default(),
    };
    let open = || until_open(switched.clone());
    let reading = piece::read(from, sender, faults);
    let writing = piece::write(to, pieces, faults, open);
    tokio::try_join!(reading, writing)?;
    Ok(())
}

#[cfg(test)]
mod tests;
