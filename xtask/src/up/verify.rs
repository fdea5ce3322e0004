//! `up --once`: every command of the guide, sent once by ourselves.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::http::Response;
use crate::say;
use crate::up::guide::Example;

/// What a repeated example may need on top: outcomes are recorded beside the
/// request, and a limit may just have refilled.
const SLACK: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// Tries everything and fails at the end if anything was not as promised.
pub fn run(examples: &[Example]) -> Result<()> {
    let mut failures = 0_usize;
    for example in examples {
        match attempt(example) {
            Ok(statuses) => say::verdict(true, &format!("{}: {statuses}", example.title)),
            Err(error) => {
                failures += 1;
                say::verdict(false, &format!("{}: {error:#}", example.title));
            }
        }
    }
    if failures > 0 {
        bail!("{failures} of {} examples did not do what the guide says", examples.len());
    }
    Ok(())
}

/// Sends what the example says; returns the statuses that came.
fn attempt(example: &Example) -> Result<String> {
    if let Some(before) = &example.before {
        expect_success(&before.send()?)?;
    }
    let outcome = repeat(example);
    if let Some(after) = &example.after {
        expect_success(&after.send()?)?;
    }
    outcome
}

fn repeat(example: &Example) -> Result<String> {
    let attempts = if example.times > 1 { example.times.saturating_add(SLACK) } else { 1 };
    let mut statuses: Vec<String> = Vec::new();
    let mut last = None;
    for _ in 0..attempts {
        let response = example.request.send()?;
        statuses.push(response.status.to_string());
        if response.status == example.status && response.mentions(example.mentions) {
            return Ok(statuses.join(" "));
        }
        last = Some(response);
        if attempts > 1 {
            thread::sleep(PAUSE);
        }
    }
    let wanted = if example.mentions.is_empty() {
        example.status.to_string()
    } else {
        format!("{} with {}", example.status, example.mentions)
    };
    let text = last.map(|response| response.text).unwrap_or_default();
    bail!("{wanted} was promised, {} came; the last answer:\n{text}", statuses.join(" "))
}

fn expect_success(response: &Response) -> Result<()> {
    if !(200..300).contains(&response.status) {
        bail!("the sample upstream refused to be switched:\n{}", response.text);
    }
    Ok(())
}
