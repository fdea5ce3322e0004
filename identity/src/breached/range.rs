//! A service that is told the first five digits of a hash, and answers with the rest of all hashes
//! that begin so. It learns that somebody here has one of some thousand passwords, or none.

use std::sync::Arc;

use postern_oauth::Secret;
use postern_store::BoxFuture;

use super::hex;
use crate::ports::{BreachedPasswords, OutboundError, OutboundWith};

/// So many digits are told.
const TOLD: usize = 5;
/// So many are not.
const KEPT: usize = 35;

/// A list of breached passwords at a service.
pub struct BreachedRange {
    url: String,
    outbound: Arc<dyn OutboundWith>,
}

impl BreachedRange {
    /// At this URL, which the digits are written behind.
    #[must_use]
    pub fn new(url: &str, outbound: Arc<dyn OutboundWith>) -> Self {
        Self { url: url.to_owned(), outbound }
    }
}

impl BreachedPasswords for BreachedRange {
    fn is_breached(&self, sha1: [u8; 20]) -> BoxFuture<'_, Result<bool, OutboundError>> {
        Box::pin(async move {
            let hash = hex(sha1);
            let (told, kept) = hash.split_at_checked(TOLD).unwrap_or_default();
            let url = [self.url.as_str(), told].concat();
            // The length of an answer would say which digits were asked for.
            let padded = Secret::new("true".to_owned());
            let text = self.outbound.get_with(&url, "add-padding", &padded).await?;
            let no_list = || OutboundError::Unreachable("its answer is no list".to_owned());
            holds(&text, kept).ok_or_else(no_list)
        })
    }
}

/// Whether a hash is on a list; none where that is no list. Lines that were added to make it
/// longer have been seen in no breach: their count is 0.
fn holds(text: &[u8], wanted: &str) -> Option<bool> {
    let text = std::str::from_utf8(text).ok()?;
    let mut found = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (hash, count) = line.split_once(':').unwrap_or((line, "1"));
        let is_hash = hash.len() == KEPT && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        if !is_hash || !is_count {
            return None;
        }
        let is_padding = count.bytes().all(|byte| byte == b'0');
        found |= hash.eq_ignore_ascii_case(wanted) && !is_padding;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Of the SHA-1 of `password`, 5BAA6 is told.
    const PASSWORD: [u8; 20] = [
        0x5b, 0xaa, 0x61, 0xe4, 0xc9, 0xb9, 0x3f, 0x3f, 0x06, 0x82, 0x25, 0x0b, 0x6c, 0xf8, 0x33,
        0x1b, 0x7e, 0xe6, 0x8f, 0xd8,
    ];
    const REST: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const OTHER: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    struct Service {
        says: Result<Vec<u8>, OutboundError>,
        asked: Mutex<Vec<String>>,
    }

    impl OutboundWith for Service {
        fn get_with<'a>(
            &'a self,
            url: &'a str,
            name: &'static str,
            value: &'a Secret,
        ) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>> {
            self.asked.lock().unwrap().push(format!("{url} {name}: {}", value.expose()));
            Box::pin(std::future::ready(self.says.clone()))
        }
    }

    async fn ask(says: Result<&str, OutboundError>) -> (Result<bool, OutboundError>, Vec<String>) {
        let says = says.map(|text| text.as_bytes().to_vec());
        let service = Arc::new(Service { says, asked: Mutex::default() });
        let outbound: Arc<dyn OutboundWith> = Arc::<Service>::clone(&service);
        let list = BreachedRange::new("https://r.test/range/", outbound);
        let answer = list.is_breached(PASSWORD).await;
        let asked = service.asked.lock().unwrap().clone();
        (answer, asked)
    }

    #[tokio::test]
    async fn five_digits_are_told_and_no_more() {
        let (answer, asked) = ask(Ok(&format!("{OTHER}:3\r\n{REST}:9545824\r\n"))).await;
        assert_eq!(answer, Ok(true));
        assert_eq!(asked, ["https://r.test/range/5BAA6 add-padding: true"]);
    }

    #[tokio::test]
    async fn a_list_is_read_as_it_is_written() {
        for (text, expected) in [
            (format!("{OTHER}:3"), Some(false)),
            (REST.to_ascii_lowercase(), Some(true)),
            (format!("{REST}:0"), Some(false)),
            (format!("{REST}:00\n{OTHER}:1\n"), Some(false)),
            (String::new(), Some(false)),
            ("<html>sign in to this network</html>".to_owned(), None),
            (format!("{REST}:"), None),
            (format!("{REST}:x"), None),
            (format!("{REST}0:1"), None),
            (format!("{REST}:1\nno"), None),
        ] {
            assert_eq!(ask(Ok(&text)).await.0.ok(), expected, "{text}");
        }
        assert_eq!(holds(&[0xff], REST), None);
        let away = Err(OutboundError::TooLarge);
        assert_eq!(ask(Err(OutboundError::TooLarge)).await.0, away);
    }
}
