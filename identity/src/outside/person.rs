//! Who somebody is, by what a provider says of them and what the document makes of it.

use postern_document::{OutsideProvider, OutsideUsers, RoleClaim};
use postern_request::headers::is_identity_value;
use postern_request::json::Value;

use super::OutsideError;
use super::exchange::text_of;
use crate::admin::check_email;
use crate::login::OutsidePerson;

/// Longest name that is taken over, in bytes; a longer one is left out.
const MAX_NAME_BYTES: usize = 255;

/// Whether something is needed that the ID token lacks, and that the provider may say elsewhere
/// (OpenID Connect Core §5.3).
pub(super) fn asks_more(provider: &OutsideProvider, claims: &Value) -> bool {
    let lacks_role =
        provider.role_claim.as_ref().is_some_and(|role| find(claims, &role.claim).is_none());
    lacks_role || (needs_email(provider) && verified_email(claims).is_none())
}

/// The person. `more` is what `UserInfo` says of the same one.
///
/// # Errors
/// [`OutsideError::Email`] and [`OutsideError::Domain`].
pub(super) fn person(
    provider: &OutsideProvider,
    claims: &Value,
    more: Option<&Value>,
) -> Result<OutsidePerson, OutsideError> {
    let said = [Some(claims), more];
    let of = |name: &str| {
        let mut texts = said.into_iter().flatten().filter_map(|claims| text_of(claims, name));
        let fits = |text: &&str| text.len() <= MAX_NAME_BYTES && is_identity_value(text);
        texts.find(fits).map(str::to_owned)
    };
    let verified_email = said.into_iter().flatten().find_map(verified_email);
    if verified_email.is_none() && needs_email(provider) {
        return Err(OutsideError::Email);
    }
    if let Some(email) = &verified_email
        && !is_at_home(provider, email)
    {
        return Err(OutsideError::Domain);
    }
    let role = provider.role_claim.as_ref().and_then(|claim| {
        let value = said.into_iter().flatten().find_map(|claims| find(claims, &claim.claim));
        role_of(claim, value?)
    });
    Ok(OutsidePerson {
        provider: provider.name.clone(),
        subject: text_of(claims, "sub").unwrap_or_default().to_owned(),
        verified_email: verified_email.map(str::to_owned),
        first_name: of("given_name"),
        last_name: of("family_name"),
        role: role.or_else(|| provider.role.clone()),
        authenticated_at: None,
    })
}

/// Users are found and made by their e-mail, and domains are those of it.
fn needs_email(provider: &OutsideProvider) -> bool {
    provider.users != OutsideUsers::None || !provider.domains.is_empty()
}

/// The e-mail, where the provider says that it is the person's: anything but `true` may be
/// anybody's (OpenID Connect Core §5.7).
fn verified_email(claims: &Value) -> Option<&str> {
    let email = text_of(claims, "email")?;
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    (is_verified && check_email(email).is_ok()).then_some(email)
}

fn is_at_home(provider: &OutsideProvider, email: &str) -> bool {
    let Some((_, domain)) = email.rsplit_once('@') else { return false };
    let is_this = |known: &String| known.eq_ignore_ascii_case(domain);
    provider.domains.is_empty() || provider.domains.iter().any(is_this)
}

fn role_of(claim: &RoleClaim, said: &Value) -> Option<String> {
    let fits = |(value, _): &&(String, String)| says(said, value);
    claim.values.iter().find(fits).map(|(_, role)| role.clone())
}

/// A claim by its name, or where none has that name, by the path to it; `null` is as good as none.
fn find<'v>(claims: &'v Value, claim: &str) -> Option<&'v Value> {
    let found = match claims.get(claim) {
        Some(value) => value,
        None => claim.split('.').try_fold(claims, |value, step| value.get(step))?,
    };
    (*found != Value::Null).then_some(found)
}

/// Whether a claim says this, or is a list of which one item does. Numbers and booleans are
/// compared as JSON writes them.
fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Integer(_) | Value::Bool(_) => value.to_string() == wanted,
        Value::Array(items) => items.iter().any(|item| !is_list(item) && says(item, wanted)),
        Value::Null | Value::Number(_) | Value::Object(_) => false,
    }
}

const fn is_list(value: &Value) -> bool {
    matches!(value, Value::Array(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::fixture::provider;
    use postern_request::json;

    fn claims(value: &serde_json::Value) -> Value {
        json::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_e_mail_counts_where_the_provider_vouches_for_it() {
        let provider = OutsideProvider { users: OutsideUsers::Create, ..provider() };
        for (said, expected) in [
            (serde_json::json!({"email": "a@corp.test", "email_verified": true}), true),
            (serde_json::json!({"email": "a@corp.test", "email_verified": false}), false),
            (serde_json::json!({"email": "a@corp.test", "email_verified": "true"}), false),
            (serde_json::json!({"email": "a@corp.test", "email_verified": 1}), false),
            (serde_json::json!({"email": "a@corp.test"}), false),
            (serde_json::json!({"email": "a@b@", "email_verified": true}), false),
            (serde_json::json!({"email": "a b@corp.test", "email_verified": true}), false),
            (serde_json::json!({"email": ["a@corp.test"], "email_verified": true}), false),
            (serde_json::json!({"email_verified": true}), false),
        ] {
            let made = person(&provider, &claims(&said), None);
            assert_eq!(made.is_ok(), expected, "{said}");
            assert_eq!(asks_more(&provider, &claims(&said)), !expected, "{said}");
        }
        let nobody = OutsideProvider { users: OutsideUsers::None, ..provider };
        let unverified = serde_json::json!({"email": "a@corp.test", "email_verified": false});
        let made = person(&nobody, &claims(&unverified), None).unwrap();
        assert_eq!(made.verified_email, None, "what nobody vouches for is not passed on");
    }

    #[test]
    fn only_domains_of_the_document_get_in() {
        let domains = vec!["corp.test".to_owned()];
        let provider = OutsideProvider { domains, ..provider() };
        for (email, expected) in [
            ("a@corp.test", Ok(())),
            ("a@CORP.test", Ok(())),
            ("a@sub.corp.test", Err(OutsideError::Domain)),
            ("a@corp.test.evil.test", Err(OutsideError::Domain)),
            ("a@evilcorp.test", Err(OutsideError::Domain)),
            ("a@evil.test@corp.test", Err(OutsideError::Email)),
        ] {
            let said = serde_json::json!({"email": email, "email_verified": true});
            let made = person(&provider, &claims(&said), None);
            assert_eq!(made.map(|_| ()), expected, "{email}");
        }
        let silent = person(&provider, &claims(&serde_json::json!({})), None);
        assert_eq!(silent.map(|_| ()), Err(OutsideError::Email));
    }

    #[test]
    fn the_first_value_that_fits_says_the_role() {
        let value = |text: &str, role: &str| (text.to_owned(), role.to_owned());
        let role_claim = Some(RoleClaim {
            claim: "realm_access.roles".to_owned(),
            values: vec![value("boss", "admin"), value("7", "staff")],
        });
        let provider =
            OutsideProvider { role_claim, role: Some("student".to_owned()), ..provider() };
        for (said, expected) in [
            (serde_json::json!({"realm_access": {"roles": ["x", 7, "boss"]}}), "admin"),
            (serde_json::json!({"realm_access": {"roles": "boss"}}), "admin"),
            (serde_json::json!({"realm_access": {"roles": [7]}}), "staff"),
            (
                serde_json::json!({"realm_access.roles": 7, "realm_access": {"roles": "boss"}}),
                "staff",
            ),
            (serde_json::json!({"realm_access": {"roles": [["boss"]]}}), "student"),
            (serde_json::json!({"realm_access": {"roles": "bos"}}), "student"),
            (serde_json::json!({"realm_access": "boss"}), "student"),
            (serde_json::json!({}), "student"),
        ] {
            let made = person(&provider, &claims(&said), None).unwrap();
            assert_eq!(made.role.as_deref(), Some(expected), "{said}");
        }
    }

    #[test]
    fn what_the_id_token_lacks_is_taken_from_elsewhere() {
        let provider = OutsideProvider { users: OutsideUsers::Link, ..provider() };
        let token = claims(&serde_json::json!({"sub": "u-1", "given_name": "Ada"}));
        let more = claims(&serde_json::json!({
            "sub": "u-1", "given_name": "Eve", "family_name": "L\nX",
            "email": "a@corp.test", "email_verified": true,
        }));
        let made = person(&provider, &token, Some(&more)).unwrap();
        assert_eq!(made.first_name.as_deref(), Some("Ada"));
        assert_eq!(made.last_name, None);
        assert_eq!(made.verified_email.as_deref(), Some("a@corp.test"));
    }
}
