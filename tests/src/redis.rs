//! A real Redis that keeps nothing on disk.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::Running;
use crate::{env, ports, wait};

const START: Duration = Duration::from_secs(15);

/// A Redis on a port of its own, whether it runs or not.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    process: Option<Running>,
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> Self {
        let mut redis = Self::down();
        redis.bring_up().await;
        redis
    }

    /// One that does not run yet: its port is known, and nobody listens there.
    ///
    /// # Panics
    /// When there is no folder for it.
    #[must_use]
    pub fn down() -> Self {
        let folder = tempfile::tempdir().expect("a folder for Redis");
        Self { port: ports::free(), process: None, folder }
    }

    /// Starts it, empty.
    ///
    /// # Panics
    /// When it does not answer soon.
    pub async fn bring_up(&mut self) {
        let mut command = Command::new(env::redis_server());
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(self.folder.path());
        self.process = Some(Running::start("redis-server", &self.log(), &mut command));
        let port = self.port;
        wait::until("answer of Redis", START, || ping(port)).await;
    }

    /// Ends it as a crash would; all it held is gone.
    pub fn take_down(&mut self) {
        self.process = None;
    }

    /// As the server's command line takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }
}

async fn ping(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(ports::local(port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(std::io::Error::other("no PONG")) }
}
