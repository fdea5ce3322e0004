//! What is made of the document in use, for whoever goes by it for longer than a request.

use std::fmt;
use std::sync::Arc;

/// What holds now: with another document comes another one, for all that go by the same document
/// at once. Whoever looks keeps what they have seen for as long as they work with it, so that one
/// answer is made of one document.
pub struct Current<T>(Arc<dyn Fn() -> Arc<T> + Send + Sync>);

impl<T> Current<T> {
    /// What this says whenever somebody looks.
    #[must_use]
    pub fn new(now: impl Fn() -> Arc<T> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What stays as it is: for commands, and for tests.
    #[must_use]
    pub fn fixed(value: T) -> Self
    where
        T: Send + Sync + 'static,
    {
        let value = Arc::new(value);
        Self::new(move || Arc::clone(&value))
    }

    /// What holds now.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        (self.0)()
    }

    /// A part of it.
    #[must_use]
    pub fn part<U>(&self, part: impl Fn(&T) -> Arc<U> + Send + Sync + 'static) -> Current<U>
    where
        T: 'static,
    {
        let whole = self.clone();
        Current::new(move || part(&whole.load()))
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn whoever_looks_sees_what_holds_and_keeps_it() {
        let place = Arc::new(Mutex::new(Arc::new((1, "one"))));
        let held = Arc::clone(&place);
        let whole = Current::new(move || Arc::clone(&held.lock().unwrap()));
        let number = whole.part(|(number, _)| Arc::new(*number));
        let seen = whole.load();
        *place.lock().unwrap() = Arc::new((2, "two"));
        assert_eq!((*seen, *number.load(), *whole.clone().load()), ((1, "one"), 2, (2, "two")));
        assert_eq!(*Current::fixed(7).load(), 7);
    }
}
