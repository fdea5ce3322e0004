//! As much of an HTML reader as these tests need: strict, where browsers forgive.

/// An element, and the text inside of it.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }
}

const VOID: [&str; 5] = ["meta", "link", "img", "input", "br"];

/// The elements of a document in the order in which they begin.
pub(super) fn read(html: &str) -> Result<Vec<Element>, String> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let rest = html.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    for piece in rest.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').ok_or(format!("a tag without an end: {piece}"))?;
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().ok_or(format!("</{name}> ends nothing"))?;
            if elements[last].name != name {
                return Err(format!("</{name}> ends <{}>", elements[last].name));
            }
        } else {
            let element = read_tag(tag)?;
            if !VOID.contains(&element.name.as_str()) {
                open.push(elements.len());
            }
            elements.push(element);
        }
        let text = unescape(text)?;
        for at in &open {
            elements[*at].text.push_str(&text);
        }
    }
    match open.last() {
        Some(at) => Err(format!("<{}> has no end", elements[*at].name)),
        None => Ok(elements),
    }
}

fn read_tag(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Err(format!("no name of an element: {tag}"));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (attribute, after) = rest.split_at(end);
        let is_name = |c: char| c.is_ascii_alphabetic() || c == '-';
        if attribute.is_empty() || !attribute.chars().all(is_name) {
            return Err(format!("no name of an attribute: {attribute:?} in {tag}"));
        }
        rest = after;
        let mut value = "";
        if let Some(quoted) = rest.strip_prefix("=\"") {
            (value, rest) = quoted.split_once('"').ok_or(format!("no end of a value: {tag}"))?;
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                return Err(format!("a value runs into what follows: {tag}"));
            }
        } else if rest.starts_with('=') {
            return Err(format!("a value without quotes: {tag}"));
        }
        if attributes.iter().any(|(known, _)| known == attribute) {
            return Err(format!("{attribute} is there twice: {tag}"));
        }
        attributes.push((attribute.to_owned(), unescape(value)?));
    }
    Ok(Element { name: name.to_owned(), attributes, text: String::new() })
}

/// Resolves the references that escaping makes; another ampersand was escaped by nobody.
fn unescape(text: &str) -> Result<String, String> {
    let mut pieces = text.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (reference, rest) = piece.split_once(';').ok_or(format!("a bare ampersand: {text}"))?;
        out.push(match reference {
            "#34" | "quot" => '"',
            "#38" | "amp" => '&',
            "#39" | "#x27" => '\'',
            "#60" | "lt" => '<',
            "#62" | "gt" => '>',
            _ => return Err(format!("an unknown reference: &{reference};")),
        });
        out.push_str(rest);
    }
    Ok(out)
}

#[test]
fn what_is_broken_is_told() {
    assert!(read("<!DOCTYPE html><p id=\"a\">x</p>").is_ok());
    for broken in [
        "<p></p>",
        "<!DOCTYPE html><p>",
        "<!DOCTYPE html><p></b>",
        "<!DOCTYPE html></p>",
        "<!DOCTYPE html><p id=a></p>",
        "<!DOCTYPE html><p id=\"a\"b></p>",
        "<!DOCTYPE html><p id=\"a\" id=\"b\"></p>",
        "<!DOCTYPE html><p>a & b</p>",
        "<!DOCTYPE html><p",
    ] {
        assert!(read(broken).is_err(), "{broken}");
    }
}
