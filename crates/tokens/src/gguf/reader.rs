//! A cursor over the first bytes of a file. It compares every length with its limit before it looks for
//! the bytes, so that a hostile length is [`Error::TooLarge`] and never an allocation.

use super::{Error, MAX_TOTAL_BYTES};

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    elements: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            elements: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The magic, where a shorter slice may still become one.
    pub(super) fn magic(&mut self, magic: [u8; 4]) -> Result<(), Error> {
        if !magic.starts_with(&self.bytes[..self.bytes.len().min(4)]) {
            return Err(Error::NotGguf);
        }
        self.take(4).map(|_| ())
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let needed_at_least = self.offset().saturating_add(length);
        within("the size of the metadata", needed_at_least, MAX_TOTAL_BYTES)?;
        let taken = usize::try_from(needed_at_least)
            .ok()
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(Error::Truncated { needed_at_least })?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length or count, at most `limit`.
    pub(super) fn count(&mut self, what: &'static str, limit: u64) -> Result<u64, Error> {
        let found = self.array().map(u64::from_le_bytes)?;
        within(what, found, limit)?;
        Ok(found)
    }

    /// Counts the elements of one more array against the limit on all of them together.
    pub(super) fn charge_elements(&mut self, count: u64) -> Result<(), Error> {
        self.elements = self.elements.saturating_add(count);
        within(
            "the number of array elements",
            self.elements,
            super::MAX_ELEMENTS,
        )
    }

    /// A length and as many bytes of UTF-8.
    pub(super) fn text(&mut self, what: &'static str, limit: u64) -> Result<String, Error> {
        let length = self.count(what, limit)?;
        let offset = self.offset();
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Malformed {
            what: "a string is not UTF-8",
            offset,
        })?;
        Ok(text.to_owned())
    }
}

pub(super) fn within(what: &'static str, found: u64, limit: u64) -> Result<(), Error> {
    if found > limit {
        return Err(Error::TooLarge { what, found, limit });
    }
    Ok(())
}
