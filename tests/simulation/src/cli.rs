//! What can be asked for.

use clap::{Args, Parser, Subcommand, value_parser};

/// Simulations in virtual time.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to simulate.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to simulate.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Leases of shared limits: what passes beyond the limit, and what stays unused.
    Leases(Options),
}

/// How the simulated world is made.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many sidecars; one run for each number and algorithm.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,10,100,1000",
        value_parser = value_parser!(u32).range(1..=10_000)
    )]
    pub sidecars: Vec<u32>,
    /// How many keys there are.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=10_000))]
    pub keys: u32,
    /// The exponent of the keys' distribution; 0 makes all keys alike.
    #[arg(long, default_value_t = 1.0, value_parser = exponent)]
    pub zipf: f64,
    /// The share of messages that is lost, each way.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub loss: f64,
    /// The share of messages that arrives twice, the second time up to two seconds late.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub duplicate: f64,
    /// Step the sidecars' clocks, back and forth, by milliseconds up to an hour.
    #[arg(long)]
    pub clock_steps: bool,
    /// How long, in simulated seconds.
    #[arg(long, default_value_t = 120, value_parser = value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Where all that is random comes from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Requests a period and key; without it, the smallest limit that may be leased to so many
    /// sidecars.
    #[arg(long)]
    pub limit: Option<u64>,
    /// The limit's period in seconds.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub period: u64,
    /// How much is asked of the busiest key, in percent of its limit.
    #[arg(long, default_value_t = 150, value_parser = value_parser!(u32).range(1..=10_000))]
    pub load: u32,
    /// What may be out at once, in percent of the limit.
    #[arg(long, default_value_t = 10)]
    pub outstanding: u32,
    /// How long a lease lives, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    pub life_ms: u64,
    /// How much each sidecar may let through on credit; 0 starts strict.
    #[arg(long, default_value_t = 0)]
    pub allowance: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 0.9)
}

fn exponent(text: &str) -> Result<f64, String> {
    number(text, 0.0, 5.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shares_are_shares() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["-0.1", "1", "NaN", "inf", "x", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
