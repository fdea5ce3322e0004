//! What is answered, in our own terms.

use postern_descriptors::Unit;
use postern_request::RateLimitStatus;

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The request is refused, and nothing was counted.
    pub over: bool,
    /// One for each descriptor, in order.
    pub standings: Vec<Standing>,
    /// For the limit headers: of a request that passes the binding limit with the least room, of
    /// one that is refused the limit that makes it wait longest. None without binding limits.
    pub status: Option<RateLimitStatus>,
    /// Where a rule in quota mode was met: the descriptors, by number, whose rule had no room.
    pub quota: Option<Vec<u32>>,
    /// The names of the rules that the descriptors met, when settings ask for them; the path of
    /// one without a name, and empty where none was met.
    pub rules: Vec<String>,
}

/// How one descriptor stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its limit refuses. False in shadow and quota mode.
    pub over: bool,
    /// Its limit; none where there is none, or where it is unlimited.
    pub limit: Option<CurrentLimit>,
    /// Requests that are left.
    pub remaining: u32,
    /// Seconds until there is room again, or until the window ends; with a limit only.
    pub reset_secs: u64,
}

/// A limit as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentLimit {
    /// Its name, which may be empty.
    pub name: String,
    /// Requests a unit. The protocol has no place for a unit's multiple.
    pub requests: u32,
    /// Of what time.
    pub unit: Unit,
}

impl Answer {
    /// Notes what a binding limit says, for the headers.
    pub(crate) fn note(&mut self, over: bool, status: RateLimitStatus) {
        self.status = Some(match self.status {
            // The first refusal outdoes whatever let the request pass.
            Some(_) if over && !self.over => status,
            Some(noted) if !over && self.over => noted,
            Some(noted) if over && status.reset_secs > noted.reset_secs => status,
            Some(noted) if over => noted,
            Some(noted) => noted.tighter(status),
            None => status,
        });
        self.over |= over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_of_the_tightest_limit_and_of_the_longest_wait() {
        let status = |remaining, reset_secs| RateLimitStatus {
            limit: 10,
            remaining,
            reset_secs,
            window_secs: 60,
        };
        let noted = |of: &[(bool, RateLimitStatus)]| {
            let mut answer = Answer::default();
            of.iter().for_each(|(over, status)| answer.note(*over, *status));
            (answer.over, answer.status)
        };
        assert_eq!(noted(&[]), (false, None));
        let passes = [(false, status(5, 60)), (false, status(2, 1)), (false, status(7, 90))];
        assert_eq!(noted(&passes), (false, Some(status(2, 1))));
        let mixed = [
            (false, status(1, 1)),
            (true, status(3, 5)),
            (false, status(0, 90)),
            (true, status(0, 50)),
            (true, status(0, 7)),
        ];
        assert_eq!(noted(&mixed), (true, Some(status(0, 50))));
    }
}
