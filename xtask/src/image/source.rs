//! What is built, and when: version, revision and time, as git and the environment tell them.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Workspace;
use crate::{process, say};

/// By this variable, builders say what time it is in what they build.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The state of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The workspace's version.
    pub version: String,
    /// The commit; none outside of a checkout.
    pub commit: Option<String>,
    /// Whether files differ from the commit.
    pub modified: bool,
    /// The time of everything in the images: RFC 3339, UTC.
    pub created: String,
}

impl Source {
    /// Asks git, and says what is worth knowing of the answer.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| -> Option<String> {
            let mut command = Command::new("git");
            command.current_dir(workspace.root()).args(arguments);
            process::output(&mut command).ok().map(|text| text.trim().to_owned())
        };
        let commit = git(&["rev-parse", "--verify", "HEAD"]);
        let modified = commit.is_some()
            && git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
        let committed = git(&["show", "--no-patch", "--format=%ct", "HEAD"]);
        let epoch = env::var(EPOCH).ok().filter(|value| !value.is_empty());
        let created = seconds(epoch.as_deref(), committed.as_deref())?;
        if commit.is_none() {
            say::note("no git checkout: the images name no revision");
        } else if modified {
            say::note("files differ from the commit: the images' revision ends in -modified");
        }
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            modified,
            created: rfc3339(created),
        })
    }

    /// The commit, marked where files differ from it.
    pub fn revision(&self) -> Option<String> {
        let commit = self.commit.as_ref()?;
        Some(if self.modified { format!("{commit}-modified") } else { commit.clone() })
    }
}

/// The time of the images, in seconds since 1970: as told, else the commit's, else none at all.
fn seconds(epoch: Option<&str>, committed: Option<&str>) -> Result<u64> {
    match epoch {
        Some(text) => {
            text.parse().with_context(|| format!("{EPOCH}={text}: expected seconds since 1970"))
        }
        None => Ok(committed.and_then(|text| text.parse().ok()).unwrap_or(0)),
    }
}

/// Seconds since 1970 as `2026-11-22T11:46:19Z`. The calendar by Howard Hinnant's
/// `civil_from_days`: years that begin in March have their leap day at the end.
fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A commit of long ago.
    pub fn sample() -> Source {
        Source {
            version: "0.1.0".to_owned(),
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            modified: false,
            created: rfc3339(951_782_400),
        }
    }

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_078_099_199, "2004-02-29T23:59:59Z"),
            (1_078_099_200, "2004-03-01T00:00:00Z"),
            (1_795_347_979, "2026-11-22T11:46:19Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn the_time_is_as_told_or_the_commits() {
        assert_eq!(seconds(Some("12"), Some("34")).unwrap(), 12);
        assert_eq!(seconds(None, Some("34")).unwrap(), 34);
        assert_eq!(seconds(None, None).unwrap(), 0);
        assert!(seconds(Some("yesterday"), Some("34")).is_err());
    }

    #[test]
    fn a_changed_checkout_is_no_commit() {
        let mut source = Source { commit: Some("abc".to_owned()), ..sample() };
        assert_eq!(source.revision().unwrap(), "abc");
        source.modified = true;
        assert_eq!(source.revision().unwrap(), "abc-modified");
        source.commit = None;
        assert_eq!(source.revision(), None);
    }
}
