//! `postern user`.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_document::Document;
use postern_identity::admin::{self, NewPassword, NewUser};
use postern_identity::{
    ADMIN_SCOPE, Argon2Parameters, Hasher, IdentityMetrics, LoginMetrics, LoginRules,
};
use postern_oauth::Secret;
use postern_store::durable::Profile;
use serde_json::json;

use super::now;
use crate::cli::{User, UserAction, UserCreate};
use crate::serve::breached;
use crate::{documents, output, settings};

/// Who did it, for the audit log.
const BY: &str = "cli";
/// More than any password has.
const MAX_INPUT: u64 = 4096;

/// Creates users.
///
/// # Errors
/// When the store cannot be used or a value is none.
pub async fn run(arguments: &User) -> Result<ExitCode> {
    match &arguments.action {
        UserAction::Create(arguments) => create(arguments).await,
    }
}

async fn create(arguments: &UserCreate) -> Result<ExitCode> {
    let rules = rules(&documents::load_checked(&arguments.document)?)?;
    let role = match arguments.admin {
        true => Some(admin_role(&rules)?),
        false => settings::trimmed_option("--role", arguments.role.as_deref())?,
    };
    let password = if arguments.generate {
        NewPassword::Generated
    } else if arguments.password_stdin {
        NewPassword::Given(read_password()?)
    } else {
        NewPassword::None
    };
    let user = NewUser {
        email: settings::trimmed("--email", &arguments.email)?,
        role,
        profile: Profile {
            first_name: settings::trimmed("--first-name", &arguments.first_name)?,
            last_name: settings::trimmed("--last-name", &arguments.last_name)?,
            ..Profile::default()
        },
        tier: settings::trimmed_option("--tier", arguments.tier.as_deref())?,
        password,
        must_change_password: arguments.must_change,
    };
    let store = settings::identity_store(&arguments.durable.durable).await?;
    let known = breached::open(&rules.login.passwords)?;
    admin::judge_chosen(&user.password, &user.email, &rules, known.as_ref()).await?;
    let hasher = hasher(&rules)?;
    let created = admin::create_user(&*store, &hasher, &rules, user, BY, now()).await?;
    let password = created.password.as_ref().map(Secret::expose);
    let (id, role) = (&created.record.id, &created.record.role);
    if arguments.json {
        output::line(json!({"id": id, "role": role, "password": password}).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format!("id        {id}"))?;
    output::line(format!("role      {role}"))?;
    if let Some(password) = password {
        output::line(format!("password  {password}"))?;
        output::remark("the password is not kept and cannot be shown again");
    }
    Ok(ExitCode::SUCCESS)
}

fn rules(document: &Document) -> Result<LoginRules> {
    let login = document.login.clone();
    let login = login.context("the document does not say in `login` how people log in")?;
    let issuer = document.issuer.clone().unwrap_or_default();
    Ok(LoginRules { issuer, login, replicas: document.stores.replicas })
}

fn admin_role(rules: &LoginRules) -> Result<String> {
    let role = rules.admin_roles().into_iter().next();
    role.with_context(|| format!("--admin: no role of the document has the scope `{ADMIN_SCOPE}`"))
}

/// The first line; a password has none.
fn read_password() -> Result<Secret> {
    let mut read = String::new();
    std::io::stdin().take(MAX_INPUT).read_to_string(&mut read)?;
    let password = read.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("--password-stdin: standard input begins with an empty line");
    }
    Ok(Secret::new(password.to_owned()))
}

/// One thread, whose metrics nobody reads.
fn hasher(rules: &LoginRules) -> Result<Hasher> {
    let registry = prometheus::Registry::new();
    let identity = IdentityMetrics::register(&registry)?;
    let metrics = LoginMetrics::register(&registry, &identity)?;
    let passwords = &rules.login.passwords;
    let parameters = Argon2Parameters::new(passwords.memory_kib, passwords.iterations)?;
    Ok(Hasher::new(parameters, 1, metrics)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(login: &serde_json::Value) -> Document {
        let text = json!({
            "version": 1,
            "issuer": "https://gate.test",
            "services": {"s": {"upstream": "h:1"}},
            "oauth": {},
            "login": login,
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
        });
        postern_document::from_json(text.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn without_a_role_that_administers_nobody_is_made_an_administrator() {
        let rules = rules(&document(&json!({"roles": {"user": {}}}))).unwrap();
        let error = admin_role(&rules).unwrap_err().to_string();
        assert!(error.contains("postern.admin"), "{error}");
    }
}
