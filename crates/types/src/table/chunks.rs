//! A list that grows without moving what it has: whatever its length, no step of it takes long.

/// Entries of a chunk: a power of two.
const CHUNK: usize = 1_024;

/// The list.
#[derive(Clone)]
pub(super) struct Chunks<T> {
    /// All but the last are full.
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Chunks<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, entry: T) {
        let at = self.len / CHUNK;
        if let Some(chunk) = self.chunks.get_mut(at) {
            chunk.push(entry);
        } else {
            // The first one grows as it is filled: most lists are short.
            let mut chunk = Vec::with_capacity(if at == 0 { 0 } else { CHUNK });
            chunk.push(entry);
            self.chunks.push(chunk);
        }
        self.len += 1;
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_was_put_into_it() {
        let (mut chunks, last) = (Chunks::default(), 2 * CHUNK);
        for entry in 0..=last {
            chunks.push(entry);
        }
        *chunks.get_mut(CHUNK).unwrap() += 1;
        let expected = |at| (at <= last).then_some(if at == CHUNK { at + 1 } else { at });
        for at in 0..last + 2 {
            assert_eq!(chunks.get(at).copied(), expected(at));
        }
        assert_eq!((chunks.len(), chunks.chunks.len()), (last + 1, 3));
    }
}
