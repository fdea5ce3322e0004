//! `postern limits`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use postern_request::principal::Credential;

/// `postern limits`
#[derive(Debug, Args)]
pub struct Limits {
    /// What to do.
    #[command(subcommand)]
    pub action: LimitsAction,
}

/// Actions of `limits`.
#[derive(Debug, Subcommand)]
pub enum LimitsAction {
    /// Say what an exact or leased limit of the document has counted for a caller.
    Inspect(LimitCount),
    /// Forget what an exact or leased limit of the document has counted for a caller.
    Reset(LimitCount),
    /// The same for a rule of the rate limit service.
    Descriptor(Descriptor),
}

/// Which count of a limit.
#[derive(Debug, Args)]
pub struct LimitCount {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The limit's name.
    pub limit: String,
    /// What requests are counted by, as the limit's `key` says: ip=192.0.2.1, claim.sub=alice,
    /// header.x-tenant=acme, path.id=5, method=GET.
    #[arg(value_name = "PART=VALUE")]
    pub parts: Vec<String>,
    /// A part of the key that the requests have not, for example `claim.sub` where nobody is
    /// logged in.
    #[arg(long, value_name = "PART")]
    pub without: Vec<String>,
    /// The route, where routes count apart; as the part `route`.
    #[arg(long)]
    pub route: Option<String>,
    /// The caller's tier, where tiers have numbers of their own.
    #[arg(long)]
    pub tier: Option<String>,
    /// The caller's `client_id`, where clients have numbers of their own.
    #[arg(long)]
    pub client: Option<String>,
    /// Whose tokens the caller has; the only issuer of the document by default.
    #[arg(long)]
    pub issuer: Option<String>,
    /// What the caller shows; tokens, where the routes take them, by default.
    #[arg(long, value_enum)]
    pub credential: Option<CredentialKind>,
    /// The store that the servers share: redis://…, redis+sentinel://…, redis+cluster://… or
    /// env:NAME; the document's by default.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `postern limits descriptor`
#[derive(Debug, Args)]
pub struct Descriptor {
    /// What to do.
    #[command(subcommand)]
    pub action: DescriptorAction,
}

/// Actions of `limits descriptor`.
#[derive(Debug, Subcommand)]
pub enum DescriptorAction {
    /// Say what a rule has counted for a descriptor.
    Inspect(DescriptorCount),
    /// Forget what a rule has counted for a descriptor.
    Reset(DescriptorCount),
}

/// Which count of the rate limit service.
#[derive(Debug, Args)]
pub struct DescriptorCount {
    /// Its configuration: a file, or a folder of *.yaml files.
    pub config: PathBuf,
    /// The domain.
    pub domain: String,
    /// The descriptor's entries in order, KEY alone where the value is empty.
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub entries: Vec<String>,
    /// Take a domain that several files configure for one domain.
    #[arg(long)]
    pub merge_domains: bool,
    /// The store that the servers share: redis://…, redis+sentinel://…, redis+cluster://… or
    /// env:NAME.
    #[arg(long, env = "POSTERN_VOLATILE", hide_env_values = true)]
    pub volatile: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Kinds of credential, as the document spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CredentialKind {
    /// A token.
    Jwt,
    /// An API key.
    #[value(name = "api_key")]
    ApiKey,
    /// A browser's session.
    Session,
}

impl From<CredentialKind> for Credential {
    fn from(kind: CredentialKind) -> Self {
        match kind {
            CredentialKind::Jwt => Self::Jwt,
            CredentialKind::ApiKey => Self::ApiKey,
            CredentialKind::Session => Self::Session,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command, LimitsAction};

    #[test]
    fn parts_and_options_may_stand_in_any_order() {
        let words = "postern limits inspect a.yaml per-user claim.sub=a --without ip --credential \
                     api_key header.x-a=-- method=GET --without host --volatile b";
        let cli = Cli::try_parse_from(words.split_whitespace()).unwrap();
        let Command::Limits(limits) = cli.command else { panic!("{cli:?}") };
        let LimitsAction::Inspect(count) = limits.action else { panic!("{limits:?}") };
        assert_eq!(count.parts, ["claim.sub=a", "header.x-a=--", "method=GET"]);
        assert_eq!(count.without, ["ip", "host"]);
        assert_eq!(count.limit, "per-user");
    }

    #[test]
    fn a_descriptor_has_entries() {
        let words = ["postern", "limits", "descriptor", "reset", "a.yaml", "shop"];
        let with = |more: &[&str]| {
            let words = words.iter().chain(more).copied().chain(["--volatile", "b"]);
            Cli::try_parse_from(words).is_ok()
        };
        assert!(with(&["path=/cart", "user"]));
        assert!(!with(&[]));
    }
}
