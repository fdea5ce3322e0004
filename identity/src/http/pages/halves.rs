//! A log-in that is under way is opened by two cookies together: its own, and the device's. Whoever
//! has come by one of them cannot go on with it elsewhere.

use postern_jose::base64url;
use postern_oauth::Secret;
use zeroize::Zeroizing;

use crate::vault::{Purpose, Vault};

/// What the log-in's cookie holds, of what opens it; and the other way round. None where it can be
/// neither.
///
/// What opens it is 256 random bits, and its cookie is these bits with a keyed hash of the device's
/// cookie added to them, so that neither cookie says anything of them.
pub(super) fn other(vault: &Vault, half: &str, device: &str) -> Option<Secret> {
    let half = Zeroizing::new(base64url::decode(half)?);
    let tag = vault.tag(Purpose::LogIn, device.as_bytes());
    if half.len() != tag.len() {
        return None;
    }
    let other: Vec<u8> = half.iter().zip(tag).map(|(half, tag)| half ^ tag).collect();
    Some(Secret::new(base64url::encode(&Zeroizing::new(other))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    const HERE: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";

    #[test]
    fn each_half_gives_the_other_one_for_one_device() {
        let vault = crate::login::fixture::vault();
        let opener = random::secret().unwrap();
        let cookie = other(&vault, opener.expose(), HERE).unwrap();
        assert_ne!(cookie, opener);
        assert_eq!(other(&vault, cookie.expose(), HERE), Some(opener.clone()));
        let elsewhere = HERE.replace('a', "b");
        assert_ne!(other(&vault, cookie.expose(), &elsewhere), Some(opener));
    }

    #[test]
    fn what_is_no_half_opens_nothing() {
        let vault = crate::login::fixture::vault();
        for bad in ["", "x", "AAAA", "=", &"A".repeat(44), &"A".repeat(4000)] {
            assert_eq!(other(&vault, bad, HERE), None, "{bad:.50}");
        }
    }
}
