//! A log-in between two requests: JSON, which whoever keeps it seals. It holds no secret of ours,
//! but where it leads to may name one.

use postern_oauth::Acr;
use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use postern_request::login::ReturnTo;

use super::{Factor, Flow};

const FACTORS: [(Factor, &str); 7] = [
    (Factor::Password, "password"),
    (Factor::PasswordBefore, "password_before"),
    (Factor::Totp, "totp"),
    (Factor::Recovery, "recovery"),
    (Factor::Passkey, "passkey"),
    (Factor::VerifiedPasskey, "verified_passkey"),
    (Factor::Outside, "outside"),
];

fn name_of(factor: Factor) -> &'static str {
    FACTORS.iter().find(|(known, _)| *known == factor).map_or("", |(_, name)| name)
}

fn factor_of(name: &str) -> Option<Factor> {
    FACTORS.iter().find(|(_, known)| *known == name).map(|(factor, _)| *factor)
}

impl Flow {
    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |text: &str| Value::String(text.to_owned());
        let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let passed = self.passed.iter().map(|factor| text(name_of(*factor))).collect();
        let mut members = vec![
            ("return_to", text(self.return_to.as_str())),
            ("wants", text(self.wants.as_str())),
            ("passed", Value::Array(passed)),
            ("failures", number(u64::from(self.failures))),
            ("remember", Value::Bool(self.remember)),
            ("must_change", Value::Bool(self.must_change)),
            ("started_at", number(self.started_at.0)),
        ];
        members.extend(self.as_of.map(|at| ("as_of", number(at.0))));
        members.extend(self.vouched_at.map(|at| ("vouched_at", number(at.0))));
        members.extend(self.max_age_secs.map(|secs| ("max_age", number(secs))));
        let optional = [
            ("user", self.user.clone()),
            ("session", self.session.clone()),
            ("vouched_by", self.vouched_by.clone()),
            ("enrolling", self.enrolling.clone()),
        ];
        for (name, value) in optional {
            members.extend(value.map(|value| (name, Value::String(value))));
        }
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect()).to_string().into_bytes()
    }

    /// Reads what [`Flow::encode`] wrote; none for anything else. Where it may return to is asked
    /// again of `issuer` and `hosts`, because the document may be another one by now.
    #[must_use]
    pub fn decode(bytes: &[u8], issuer: &str, hosts: &[String]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let number = |name: &str| match value.get(name) {
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        // None where it is not there; what is there has to be one.
        let maybe = |name: &str| match value.get(name) {
            Some(_) => number(name).map(Some),
            None => Some(None),
        };
        let passed = value.get("passed")?.as_array()?.iter();
        let truth = |name: &str| match value.get(name)? {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        };
        Some(Self {
            return_to: ReturnTo::parse(text("return_to")?, issuer, hosts).unwrap_or_default(),
            wants: Acr::parse(text("wants")?)?,
            user: text("user").map(str::to_owned),
            passed: passed.map(|name| factor_of(name.as_str()?)).collect::<Option<_>>()?,
            failures: u8::try_from(number("failures")?).ok()?,
            remember: truth("remember")?,
            session: text("session").map(str::to_owned),
            as_of: maybe("as_of")?.map(UnixMillis),
            vouched_by: text("vouched_by").map(str::to_owned),
            vouched_at: maybe("vouched_at")?.map(UnixMillis),
            max_age_secs: maybe("max_age")?,
            enrolling: text("enrolling").map(str::to_owned),
            must_change: truth("must_change")?,
            started_at: UnixMillis(number("started_at")?),
        })
    }
}
