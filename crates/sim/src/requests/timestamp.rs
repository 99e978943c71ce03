//! Times as traces write them: `2023-11-16 18:15:46.6805900`, with a blank or a `T` between day and
//! time, and behind it nothing, `Z`, or how far it is ahead of UTC: `+00:00`.

/// What is said of what is none.
const EXPECTED: &str =
    "a time such as 2023-11-16 18:15:46.6805900 is expected, with nothing, Z or +00:00 behind it";

/// Milliseconds since the beginning of 1970.
pub(super) fn millis(text: &str) -> Result<u64, &'static str> {
    parse(text).ok_or(EXPECTED)
}

fn parse(text: &str) -> Option<u64> {
    let (day, time) = text.split_once([' ', 'T'])?;
    let (time, ahead) = zone(time)?;
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
    let (hours, minutes) = (below(hours, 24)?, below(minutes, 60)?);
    // A leap second is the next minute's first.
    let seconds = below(seconds, 61)?;
    let minutes = ((days * 24 + hours) * 60 + minutes).checked_add_signed(-ahead)?;
    Some((minutes * 60 + seconds) * 1_000 + thousandths(fraction)?)
}

/// A time without its zone, and by how many minutes that is ahead of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':')?;
    let minutes = below(hours, 24)? * 60 + below(minutes, 60)?;
    let minutes = i64::try_from(minutes).ok()?;
    let ahead = zone.starts_with('+');
    Some((time, if ahead { minutes } else { -minutes }))
}

/// Two digits that make less than this.
fn below(text: &str, bound: u64) -> Option<u64> {
    digits(text, 2).filter(|value| *value < bound)
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
