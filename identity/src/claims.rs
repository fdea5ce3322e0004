//! JSON objects that we write: claims of tokens, and what is kept for ourselves. By hand, because
//! a token a millisecond is no place for a general writer, and members that are not there are
//! left out.

use postern_request::json::write_string;

/// An object that is being written; members stand in the order of the calls.
pub(crate) struct Claims(String);

impl Claims {
    /// One without members.
    pub(crate) fn new() -> Self {
        let mut text = String::with_capacity(768);
        text.push('{');
        Self(text)
    }

    fn name(&mut self, name: &str) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_string(&mut self.0, name);
        self.0.push(':');
        &mut self.0
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        write_string(self.name(name), value);
        self
    }

    pub(crate) fn text_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name).push_str(&value.to_string());
        self
    }

    pub(crate) fn number_if(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        if let Some(value) = value {
            self.number(name, value);
        }
        self
    }

    pub(crate) fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        let out = self.name(name);
        out.push('[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(out, value);
        }
        out.push(']');
        self
    }

    /// Left out where there are none.
    pub(crate) fn texts_if(&mut self, name: &str, values: &[String]) -> &mut Self {
        if !values.is_empty() {
            self.texts(name, values);
        }
        self
    }

    /// A member whose value is JSON already.
    pub(crate) fn json(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name).push_str(value);
        self
    }

    /// The whole object.
    pub(crate) fn finish(&mut self) -> String {
        self.0.push('}');
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_request::json;

    #[test]
    fn an_object_is_written_in_order_and_without_what_is_not_there() {
        let mut claims = Claims::new();
        let text = claims
            .text_if("none", None)
            .text("a\"b", "c\"d")
            .number_if("none", None)
            .number("n", 7)
            .texts_if("none", &[])
            .texts("list", &["x".to_owned(), "y".to_owned()])
            .texts("empty", &[])
            .json("cnf", "{\"jkt\":\"k\"}")
            .finish();
        let expected = r#"{"a\"b":"c\"d","n":7,"list":["x","y"],"empty":[],"cnf":{"jkt":"k"}}"#;
        assert_eq!(text, expected);
        assert!(json::parse(text.as_bytes()).is_ok());
        assert_eq!(Claims::new().finish(), "{}");
    }
}
