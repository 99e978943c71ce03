//! Something in as many parts as keep each small, shared out by hash.
//!
//! A hash table that is full is moved into one of twice the size, all at once: of a million entries
//! that takes tens of milliseconds, in which whoever decides does nothing else. Tables in parts grow
//! one by one, none of them for long. What does not belong here: what a part is.

/// A power of two: the parts of a million entries have some 16,000 each.
const PARTS: usize = 64;
/// Hash tables choose a bucket by the lowest bits of a hash, and tell entries of one apart by the
/// highest seven: the parts are told by others.
const SHIFT: u32 = 48;

/// The parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts<T>(Box<[T; PARTS]>);

impl<T: Default> Default for Parts<T> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| T::default())))
    }
}

impl<T> Parts<T> {
    /// The part for a hash.
    pub(crate) fn of(&self, hash: u64) -> &T {
        &self.0[place(hash)]
    }

    /// The part for a hash, to be changed.
    pub(crate) fn of_mut(&mut self, hash: u64) -> &mut T {
        &mut self.0[place(hash)]
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

fn place(hash: u64) -> usize {
    (hash >> SHIFT) as usize % PARTS
}
