//! The command line of `postern test`.

use std::path::PathBuf;

use clap::Args;

/// `postern test`
#[derive(Debug, Args)]
pub struct Test {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// Case files, or folders of them.
    #[arg(required = true)]
    pub cases: Vec<PathBuf>,
    /// Only cases whose names hold this.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Also list the rules of the document that no case has seen decide.
    #[arg(long)]
    pub coverage: bool,
    /// Fail when fewer of the rules were seen to decide, for example 90%.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "filter")]
    pub min: Option<usize>,
    /// Print JSON.
    #[arg(long, conflicts_with = "coverage")]
    pub json: bool,
    /// Also write the results as JUnit does.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// A share in percent.
fn share(text: &str) -> Result<usize, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
    percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| format!("`{text}` is not a share from 1% to 100%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_with_and_without_its_sign() {
        assert_eq!([share("90%"), share("100")], [Ok(90), Ok(100)]);
        for bad in ["", "%", "0%", "101%", "half", "-1%", "9.5%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
