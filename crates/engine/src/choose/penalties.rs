//! OpenAI's frequency and presence penalties, computed from the generated tokens alone.

/// How much repetition costs; zero costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Penalties {
    /// Subtracted once for each earlier occurrence.
    pub frequency: f32,
    /// Subtracted once if the token occurred.
    pub presence: f32,
}

/// How often each generated token occurred, in order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences(Vec<(u32, u16)>);

impl Occurrences {
    /// Counts one more occurrence.
    pub fn count(&mut self, token: u32) {
        match self.0.binary_search_by_key(&token, |entry| entry.0) {
            Ok(found) => self.0[found].1 = self.0[found].1.saturating_add(1),
            Err(place) => self.0.insert(place, (token, 1)),
        }
    }
}

impl Penalties {
    pub(super) fn apply(self, occurrences: &Occurrences) -> bool {
        self != Self::default() && !occurrences.0.is_empty()
    }

    pub(super) fn subtract(self, occurrences: &Occurrences, values: &mut [f32]) {
        for &(token, times) in &occurrences.0 {
            if let Some(value) = values.get_mut(token as usize) {
                *value -= f32::from(times) * self.frequency + self.presence;
            }
        }
    }
}
