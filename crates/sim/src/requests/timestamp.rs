//! Times as traces write them: `2023-11-16 18:15:46.6805900`, with a blank or a `T` between day and
//! time, and nothing or `Z` behind.

/// What is said of what is none.
const EXPECTED: &str = "a time such as 2023-11-16 18:15:46.6805900 is expected";

/// Milliseconds since the beginning of 1970.
pub(super) fn millis(text: &str) -> Result<u64, &'static str> {
    parse(text).ok_or(EXPECTED)
}

fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (day, time) = text.split_once([' ', 'T'])?;
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let days = days(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)?;
    let mut of_time = time.split(':');
    let (hours, minutes) = (of_time.next()?, of_time.next()?);
    let (seconds, fraction) = of_time
        .next()
        .map(|rest| rest.split_once('.').unwrap_or((rest, "0")))?;
    if parts.next().is_some() || of_time.next().is_some() {
        return None;
    }
    let below = |text: &str, bound: u64| digits(text, 2).filter(|value| *value < bound);
    let (hours, minutes) = (below(hours, 24)?, below(minutes, 60)?);
    // A leap second is the next minute's first.
    let seconds = below(seconds, 61)?;
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    Some(seconds * 1_000 + thousandths(fraction)?)
}

/// So many digits, and nothing else, as a number.
fn digits(text: &str, count: usize) -> Option<u64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// The first three digits of a fraction.
fn thousandths(fraction: &str) -> Option<u64> {
    let all = (1..=12).contains(&fraction.len());
    if !all || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let first: String = fraction.chars().chain("00".chars()).take(3).collect();
    first.parse().ok()
}

/// Days since the beginning of 1970.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let length = *months.get(before)?;
    if !(1970..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    Some(years + months[..before].iter().sum::<u64>() + day - 1)
}
