//! A connection that is kept for one call after another.

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Answer, Call, Client, Driver, Failure, LONGEST, Protocol, Upload, read};

/// A client in HTTP/1.1 that keeps its connection for as long as the other end does.
pub struct Kept {
    client: Client,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Upload>,
    _driver: Driver,
}

impl Kept {
    /// To where a client sends. Nothing is connected yet.
    #[must_use]
    pub const fn of(client: Client) -> Self {
        Self { client, open: None }
    }

    /// Sends a call. Where a connection ends that was used before, it is sent once more on a new
    /// one: the other end may have closed it at the same moment, and every client does so.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn try_send(&mut self, call: &Call) -> Result<Answer, String> {
        match tokio::time::timeout(LONGEST, Box::pin(self.exchange(call))).await {
            Ok(answer) => answer.map_err(|error| format!("{error:?}")),
            Err(_) => Err(format!("no whole answer within {} s", LONGEST.as_secs())),
        }
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, Failure> {
        if let Some(mut open) = self.open.take()
            && let Ok(answer) = open.send(self.client, call).await
        {
            self.open = Some(open);
            return Ok(answer);
        }
        let mut open = Open::to(self.client).await?;
        let answer = open.send(self.client, call).await?;
        self.open = Some(open);
        Ok(answer)
    }
}

impl Open {
    async fn to(client: Client) -> Result<Self, Failure> {
        let stream = TcpStream::connect(client.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        Ok(Self { sender, _driver: driver })
    }

    async fn send(&mut self, client: Client, call: &Call) -> Result<Answer, Failure> {
        self.sender.ready().await?;
        let request = call.request(Protocol::Http1, client.address);
        read(self.sender.send_request(request).await?).await
    }
}
