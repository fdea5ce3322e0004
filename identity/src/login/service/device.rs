//! How often somebody may try the codes of devices. They have 34 bits, and many may be good at a
//! time (RFC 8628 §5.1).

use postern_limits::Rate;
use postern_request::{UnixMillis, address};
use postern_store::flows::SessionRecord;

use super::LoginService;
use crate::login::limits::{DEVICE_IP, DEVICE_SESSION, IPV6_PREFIX};
use crate::login::{Caller, LoginError, Taken};

/// Codes that are none.
const TRIES: u64 = 10;
const PERIOD_MS: u64 = 15 * 60 * 1000;

impl LoginService {
    /// Takes one try of a code, from what the address has and from what the session has. It is
    /// given back where the code is one.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_user_code(
        &self,
        session: &SessionRecord,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Taken, LoginError> {
        let rate = Rate::new(TRIES, PERIOD_MS).map_err(|_| LoginError::Internal)?;
        let (limits, replicas) = (&self.parts.limits, self.rules().replicas);
        let mut taken = Taken::default();
        if let Some(ip) = caller.ip {
            let ip = address::limit_key(ip, IPV6_PREFIX).to_string();
            taken = limits.take_one(DEVICE_IP, rate, replicas, &ip, now).await?;
        }
        match limits.take_one(DEVICE_SESSION, rate, replicas, &session.id, now).await {
            Ok(more) => Ok(taken.and(more)),
            Err(error) => {
                limits.give_back(taken, now).await;
                Err(error)
            }
        }
    }

    /// Gives a try back.
    pub async fn give_back(&self, taken: Taken, now: UnixMillis) {
        self.parts.limits.give_back(taken, now).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixture::{NOW, World};
    use crate::oauth::fixture::session;

    fn caller(last: u8) -> Caller {
        Caller { ip: Some([192, 0, 2, last].into()), ..Caller::default() }
    }

    #[tokio::test]
    async fn user_codes_are_tried_ten_times_by_address_and_by_session() {
        let world = World::new();
        let of = |id: &str| SessionRecord { id: id.to_owned(), ..session() };
        for _ in 0..TRIES {
            world.login.take_user_code(&of("a"), &caller(1), NOW).await.unwrap();
        }
        for (id, last) in [("a", 1), ("a", 2), ("b", 1)] {
            let refused = world.login.take_user_code(&of(id), &caller(last), NOW).await;
            assert!(matches!(refused, Err(LoginError::Limited { .. })), "{id} {last}");
        }
        for count in 0..TRIES {
            let taken = world.login.take_user_code(&of("b"), &caller(2), NOW).await;
            assert!(taken.is_ok(), "who was refused has taken nothing: {count}");
        }
        let nowhere = Caller::default();
        assert!(world.login.take_user_code(&of("a"), &nowhere, NOW).await.is_err());
    }

    #[tokio::test]
    async fn a_code_that_is_one_is_no_try() {
        let world = World::new();
        for _ in 0..3 * TRIES {
            let taken = world.login.take_user_code(&session(), &caller(1), NOW).await.unwrap();
            world.login.give_back(taken, NOW).await;
        }
    }
}
