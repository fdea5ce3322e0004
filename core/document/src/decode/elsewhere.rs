//! Fields that filters never read.

#[cfg(not(feature = "messages"))]
use core::marker::PhantomData;

use postern_request::json::Value;

use super::Decode;
use crate::node::Node;
use crate::problem::{Position, Problems};

/// An optional field that filters never read. Without the feature `messages` it takes anything and
/// keeps nothing, so that no code of it is in their module; they do not get it anyway, see
/// [`Document::filter_config`](crate::Document::filter_config).
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere<T>(
    #[cfg(feature = "messages")] Option<T>,
    #[cfg(not(feature = "messages"))] PhantomData<T>,
);

#[cfg(feature = "messages")]
impl<T> Elsewhere<T> {
    /// The field, where the document has it.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Takes it out of the document.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    const fn nothing() -> Self {
        Self(None)
    }
}

#[cfg(not(feature = "messages"))]
impl<T> Elsewhere<T> {
    /// Nothing, whatever the document has.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        None
    }

    const fn nothing() -> Self {
        Self(PhantomData)
    }
}

impl<T: Decode> Decode for Elsewhere<T> {
    const IS_READ: bool = cfg!(feature = "messages");

    #[cfg(feature = "messages")]
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Option::<T>::decode(node, problems).map(Self)
    }

    #[cfg(not(feature = "messages"))]
    fn decode(_: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self::nothing())
    }

    fn absent() -> Option<Self> {
        Some(Self::nothing())
    }

    fn encode(&self) -> Option<Value> {
        self.get().and_then(Decode::encode_present)
    }

    fn place(&self, path: &[&str]) -> Option<Position> {
        self.get().and_then(|value| value.place(path))
    }

    fn schema() -> Value {
        T::schema()
    }
}
