//! When a stream went on after a fault, as its client sees it.

use remuda_types::{Span, Time};

/// What was under way at the fault still arrives for this long.
const ARRIVING: Span = Span::from_millis(250);

/// How long a stream was silent, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Silence {
    pub(crate) length: Span,
    pub(crate) end: Time,
}

/// The silence that a fault made in a stream whose pieces came at these times: the longest that
/// began with the fault, which was under way from `begun` to `made`. Later ones have other reasons,
/// as a model that is loaded on the same cores.
pub(crate) fn silence_after(begun: Time, made: Time, pieces: &[Time]) -> Option<Silence> {
    let silences = pieces
        .windows(2)
        .filter(|pair| pair[0] <= made + ARRIVING && pair[1] > begun)
        .map(|pair| Silence {
            length: pair[1].since(pair[0]),
            end: pair[1],
        });
    silences.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_the_silence_of_its_fault_ends() {
        let at = [0, 20, 41, 60, 700, 720, 740, 3_000, 3_020].map(Time::from_millis);
        let fault = Time::from_millis(30);
        let silence = silence_after(fault, fault, &at).unwrap();
        assert_eq!(silence.length, Span::from_millis(640));
        assert_eq!(silence.end, Time::from_millis(700), "and not at 3,000");
        let late = Time::from_millis(3_020);
        assert_eq!(silence_after(late, late, &at), None);
        assert_eq!(silence_after(Time::EPOCH, late, &at[..1]), None);
        let slow = silence_after(Time::EPOCH, Time::from_millis(400), &at);
        assert_eq!(slow, silence_after(fault, fault, &at[..8]));
    }
}
