//! The sample upstream as a program.
#![allow(clippy::print_stdout, reason = "a program for people says where it listens")]

use std::net::SocketAddr;

use clap::Parser;
use postern_sample_upstream::{State, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A service to put behind the gateway: echoes, streams bytes, and fails when told to.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9195")]
    address: SocketAddr,
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(options.address).await?;
        println!("sample upstream on http://{}", listener.local_addr()?);
        serve(listener, State::new()).await;
        Ok(())
    })
}
