//! What was said of the parts of a limit's key.

use postern_document::Limit;
use postern_limits::key::KeyPart;

use super::limit::Meant;
use super::unclear::{Names, Unclear};

/// The value of each part, or that there is none.
pub(super) struct Said<'a>(Vec<(&'a KeyPart, Option<&'a str>)>);

impl<'a> Said<'a> {
    /// All parts of the key but those that follow from the route.
    pub(super) fn read(limit: &'a Limit, meant: &'a Meant) -> Result<Self, Unclear> {
        let mut said = Self(Vec::with_capacity(limit.key.len()));
        for text in &meant.parts {
            // By the key and not up to the first `=`: the name of a claim may have one.
            let named = limit.key.iter().find_map(|part| {
                let value = text.strip_prefix(part.to_string().as_str())?.strip_prefix('=')?;
                Some((part, Some(value)))
            });
            said.add(limit, named)?;
        }
        for text in &meant.without {
            let named = limit.key.iter().find(|part| part.to_string() == *text);
            if let Some(part) = named.filter(|part| is_always_there(part)) {
                return Err(Unclear::Always(part.to_string()));
            }
            said.add(limit, named.map(|part| (part, None)))?;
        }
        let options = [
            (KeyPart::Route, &meant.route),
            (KeyPart::Client, &meant.client),
            (KeyPart::Tier, &meant.tier),
        ];
        for (of, value) in options {
            let part = limit.key.iter().find(|part| **part == of);
            if let (Some(part), Some(value)) = (part, value) {
                said.add(limit, Some((part, Some(value.as_str()))))?;
            }
        }
        let follows = |part: &KeyPart| matches!(part, KeyPart::Route | KeyPart::Service);
        let missing = limit.key.iter().find(|part| !follows(part) && said.get(part).is_none());
        match missing {
            None => Ok(said),
            Some(part) => {
                let (limit, name) = (limit.name.clone(), part.to_string());
                Err(if is_always_there(part) {
                    Unclear::MissingValue { limit, part: name }
                } else {
                    Unclear::Missing { limit, part: name }
                })
            }
        }
    }

    fn add(
        &mut self,
        limit: &Limit,
        named: Option<(&'a KeyPart, Option<&'a str>)>,
    ) -> Result<(), Unclear> {
        let Some((part, value)) = named else {
            let parts = Names(limit.key.iter().map(ToString::to_string).collect());
            return Err(Unclear::NoPart { limit: limit.name.clone(), parts });
        };
        if self.get(part).is_some() {
            return Err(Unclear::Twice(part.to_string()));
        }
        self.0.push((part, value));
        Ok(())
    }

    /// None where the part is not in the key; within, none where requests have none.
    pub(super) fn get(&self, part: &KeyPart) -> Option<Option<&'a str>> {
        self.0.iter().find(|(of, _)| *of == part).map(|(_, value)| *value)
    }

    /// The value, where there is one.
    pub(super) fn value(&self, part: &KeyPart) -> Option<&'a str> {
        self.get(part).flatten()
    }

    /// All parts that have a value.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'a KeyPart, &'a str)> {
        self.0.iter().filter_map(|(part, value)| Some((*part, (*value)?)))
    }
}

/// Whether no request of a route with the limit is without it.
const fn is_always_there(part: &KeyPart) -> bool {
    match part {
        KeyPart::PathParam(_)
        | KeyPart::Method
        | KeyPart::Host
        | KeyPart::Service
        | KeyPart::Route => true,
        KeyPart::Ip
        | KeyPart::Subject
        | KeyPart::Client
        | KeyPart::Tier
        | KeyPart::ApiKey
        | KeyPart::Claim(_)
        | KeyPart::Header(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_spelled_as_they_are_read() {
        for text in [
            "ip",
            "claim.sub",
            "claim.client_id",
            "claim.tier",
            "api_key",
            "claim.org.id",
            "header.x-a",
            "path.id",
            "method",
            "host",
            "service",
            "route",
        ] {
            assert_eq!(KeyPart::parse(text).unwrap().to_string(), text);
        }
    }
}
