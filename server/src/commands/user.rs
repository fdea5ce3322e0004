//! `postern user`.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use postern_identity::admin::{NewPassword, NewUser, Operators, UserEdit, UserFactor};
use postern_identity::{ADMIN_SCOPE, LoginRules};
use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_store::durable::{PageAsk, Profile, UserRecord};
use serde_json::{Value, json};

use super::{PAGE, nothing_to_change, now, operators};
use crate::cli::{OfUser, User, UserAction, UserCreate, UserUpdate};
use crate::{documents, output, settings};

/// More than any password has.
const MAX_INPUT: u64 = 4096;

/// Makes, shows, changes and switches off users.
///
/// # Errors
/// When a store cannot be used, a value is none, or there is no such user.
pub async fn run(arguments: &User) -> Result<ExitCode> {
    match &arguments.action {
        UserAction::Create(arguments) => create(arguments).await?,
        UserAction::Update(arguments) => update(arguments).await?,
        UserAction::List { durable, json: as_json } => {
            let operators = operators::plain(durable).await?;
            list(&all(&operators).await?, *as_json)?;
        }
        UserAction::Show { durable, user, json: as_json } => {
            let operators = operators::plain(durable).await?;
            let user = operators::user(&operators, user).await?;
            show(&user, &operators.factors_of(&user.id).await?, *as_json)?;
        }
        UserAction::Deactivate(of) => deactivate(of).await?,
        UserAction::EndSessions(of) => end_sessions(of).await?,
        UserAction::ResetMfa(of) => reset_mfa(of).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(arguments: &UserCreate) -> Result<()> {
    let document = documents::load_checked(&arguments.document)?;
    let rules = operators::rules(&document);
    let rules = rules.context("the document does not say in `login` how people log in")?;
    let role = match arguments.admin {
        true => Some(admin_role(&rules)?),
        false => settings::trimmed_option("--role", arguments.role.as_deref())?,
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
        password: password(arguments.generate, arguments.password_stdin)?.unwrap_or_default(),
        must_change_password: arguments.must_change,
    };
    let operators = operators::making(&arguments.durable, rules).await?;
    let created = operators.create_user(user, &operators::actor(), now()).await?;
    let password = created.password.as_ref().map(Secret::expose);
    if created.record.password.is_none() {
        note_without_password(&created.record.email);
    }
    let (id, role) = (&created.record.id, &created.record.role);
    if arguments.json {
        return output::line(json!({"id": id, "role": role, "password": password}).to_string());
    }
    output::line(format!("id        {id}"))?;
    output::line(format!("role      {role}"))?;
    shown_once(password)
}

/// Who has forgotten to ask for one would wonder at the log-in page.
fn note_without_password(email: &str) {
    output::note(format!(
        "{email} has no password, and cannot log in with one; give them one with `postern user \
         update {email} --generate`, with --document and --durable as here"
    ));
}

/// On standard output alone, which is no log.
fn shown_once(password: Option<&str>) -> Result<()> {
    if let Some(password) = password {
        output::line(format!("password  {password}"))?;
        output::remark("the password is not kept and cannot be shown again");
    }
    Ok(())
}

fn admin_role(rules: &LoginRules) -> Result<String> {
    let role = rules.admin_roles().into_iter().next();
    role.with_context(|| format!("--admin: no role of the document has the scope `{ADMIN_SCOPE}`"))
}

/// Where a password comes from, if from anywhere.
fn password(generate: bool, from_stdin: bool) -> Result<Option<NewPassword>> {
    match (generate, from_stdin) {
        (true, _) => Ok(Some(NewPassword::Generated)),
        (false, true) => Ok(Some(NewPassword::Given(read_password()?))),
        (false, false) => Ok(None),
    }
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

async fn update(arguments: &UserUpdate) -> Result<()> {
    let tier = settings::trimmed_option("--tier", arguments.tier.as_deref())?;
    let first_name = settings::trimmed_option("--first-name", arguments.first_name.as_deref())?;
    let last_name = settings::trimmed_option("--last-name", arguments.last_name.as_deref())?;
    let password = password(arguments.generate, arguments.password_stdin)?;
    let mut edit = UserEdit {
        email: settings::trimmed_option("--email", arguments.email.as_deref())?,
        role: settings::trimmed_option("--role", arguments.role.as_deref())?,
        is_active: arguments.active.then_some(true),
        profile: None,
        tier: if arguments.no_tier { Some(None) } else { tier.map(Some) },
        password: password.map(|password| (password, arguments.must_change)),
    };
    let says_name = first_name.is_some() || last_name.is_some();
    if !says_name && edit == UserEdit::default() {
        return Err(nothing_to_change(["user", "update"]));
    }
    let (operators, afterwards) = operators::ending(&arguments.durable, &arguments.ends).await?;
    let user = operators::user(&operators, &arguments.user).await?;
    if says_name {
        let is = user.profile.clone();
        edit.profile = Some(Profile {
            first_name: first_name.unwrap_or(is.first_name),
            last_name: last_name.unwrap_or(is.last_name),
            ..user.profile
        });
    }
    let by = operators::actor();
    let changed = operators.change_user(&user.id, edit, &by, now()).await?;
    afterwards.tell();
    let password = changed.password.as_ref().map(Secret::expose);
    if arguments.json {
        let mut shown = to_json(&changed.record);
        if let (Some(members), Some(password)) = (shown.as_object_mut(), password) {
            members.insert("password".to_owned(), password.into());
        }
        return output::line(shown.to_string());
    }
    output::line(format!("{} is changed", changed.record.email))?;
    shown_once(password)
}

async fn deactivate(of: &OfUser) -> Result<()> {
    let (operators, afterwards) = operators::ending(&of.durable, &of.ends).await?;
    let user = operators::user(&operators, &of.user).await?;
    let edit = UserEdit { is_active: Some(false), ..UserEdit::default() };
    let changed = operators.change_user(&user.id, edit, &operators::actor(), now()).await?;
    afterwards.tell();
    if of.json {
        return output::line(to_json(&changed.record).to_string());
    }
    output::line(format!("{} is switched off and logged out", changed.record.email))
}

async fn end_sessions(of: &OfUser) -> Result<()> {
    let (operators, afterwards) = operators::ending(&of.durable, &of.ends).await?;
    let user = operators::user(&operators, &of.user).await?;
    let ended = operators.end_sessions(&user.id, &operators::actor(), now()).await?;
    afterwards.tell();
    if of.json {
        return output::line(json!({"id": user.id, "ended": ended}).to_string());
    }
    output::line(format!("{} is logged out everywhere", user.email))
}

async fn reset_mfa(of: &OfUser) -> Result<()> {
    let (operators, afterwards) = operators::ending(&of.durable, &of.ends).await?;
    let user = operators::user(&operators, &of.user).await?;
    let removed = operators.reset_factors(&user.id, &operators::actor(), now()).await?;
    afterwards.tell();
    if of.json {
        return output::line(json!({"id": user.id, "removed": removed}).to_string());
    }
    let factors = output::count(usize::try_from(removed)?, "second factor");
    output::line(format!("{factors} of {} taken away", user.email))
}

async fn all(operators: &Operators) -> Result<Vec<UserRecord>> {
    let mut users: Vec<UserRecord> = Vec::new();
    loop {
        let offset = u64::try_from(users.len())?;
        let page = operators.users(PageAsk { offset, ..PAGE }).await?;
        if page.records.is_empty() {
            return Ok(users);
        }
        users.extend(page.records);
    }
}

fn list(users: &[UserRecord], as_json: bool) -> Result<()> {
    if as_json {
        return output::line(Value::Array(users.iter().map(to_json).collect()).to_string());
    }
    let row = |user: &UserRecord| {
        let state = state(user).to_owned();
        vec![user.id.clone(), user.email.clone(), user.role.clone(), state]
    };
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    output::table(&["USER", "E-MAIL", "ROLE", "STATE"], &rows)
}

const fn state(user: &UserRecord) -> &'static str {
    if user.is_active { "active" } else { "inactive" }
}

fn show(user: &UserRecord, factors: &[UserFactor], as_json: bool) -> Result<()> {
    let kinds: Vec<&str> = factors.iter().map(|factor| factor.kind.as_str()).collect();
    if as_json {
        let mut shown = to_json(user);
        if let Some(members) = shown.as_object_mut() {
            members.insert("factors".to_owned(), json!(kinds));
        }
        return output::line(shown.to_string());
    }
    let password = match (&user.password, user.must_change_password) {
        (None, _) => "none",
        (Some(_), true) => "to be changed",
        (Some(_), false) => "set",
    };
    output::fields(&[
        ("id", user.id.clone()),
        ("email", user.email.clone()),
        ("name", format!("{} {}", user.profile.first_name, user.profile.last_name)),
        ("role", user.role.clone()),
        ("tier", user.tier.clone().unwrap_or_default()),
        ("state", state(user).to_owned()),
        ("password", password.to_owned()),
        ("factors", kinds.join(" ")),
        ("created", user.created_at.to_rfc3339()),
        ("changed", user.updated_at.to_rfc3339()),
    ])
}

fn to_json(user: &UserRecord) -> Value {
    let time = UnixMillis::to_rfc3339;
    json!({
        "id": user.id,
        "email": user.email,
        "first_name": user.profile.first_name,
        "last_name": user.profile.last_name,
        "role": user.role,
        "tier": user.tier,
        "is_active": user.is_active,
        "created_at": time(user.created_at),
        "updated_at": time(user.updated_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(login: &serde_json::Value) -> postern_document::Document {
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
        let rules = operators::rules(&document(&json!({"roles": {"user": {}}}))).unwrap();
        let error = admin_role(&rules).unwrap_err().to_string();
        assert!(error.contains("postern.admin"), "{error}");
    }
}
