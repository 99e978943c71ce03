//! What the reader of request traces takes and refuses.

use proptest::prelude::*;

use super::*;

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

fn read(lines: &str) -> Result<Vec<Traced>, String> {
    parse_requests(format!("{HEADER}{lines}").as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn requests_are_read_as_they_came() {
    let read = read(
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16T18:15:50.9951690Z,396,109\n2024-03-01 00:00:00,1,0\n",
    )
    .unwrap();
    let after: Vec<_> = read.iter().map(|of| of.after.as_millis()).collect();
    // 106 days (2024 has a 29th of February) less the time of day.
    let last = 106 * 86_400_000 - (18 * 3_600 + 15 * 60 + 46) * 1_000 - 680;
    assert_eq!(after, [0, 4_315, last]);
    assert_eq!((read[1].context, read[1].generated), (396, 109));
    assert_eq!(Requests { all: read }.length().as_millis(), last + 1_000);
}

/// As the traces of 2024 are written.
#[test]
fn a_time_may_say_how_far_it_is_ahead_of_utc() {
    let read = read(
        "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10T02:00:01.009Z,1,1\n\
         2024-05-10 04:30:02.5+02:30,44.0,1.00\n2024-05-09 23:00:03-05:00,1,1\n",
    )
    .unwrap();
    let after: Vec<_> = read.iter().map(|of| of.after.as_millis()).collect();
    assert_eq!(after, [0, 7_201_000, 7_202_491, 14_402_991]);
    assert_eq!((read[2].context, read[2].generated), (44, 1));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let refused = |lines: &str| read(lines).unwrap_err();
    let ok = "2023-11-16 18:15:46,1,1\n";
    assert_eq!(
        refused(&format!("{ok}2023-11-16 18:15:45.999,1,1\n")),
        "line 3, column `TIMESTAMP`: `2023-11-16 18:15:45.999`: it is before that of the line above: a trace is in order"
    );
    assert_eq!(
        refused("NaN,1,1\n"),
        "line 2, column `TIMESTAMP`: `NaN`: a time such as 2023-11-16 18:15:46.6805900 is expected, with nothing, Z or +00:00 behind it"
    );
    for time in [
        "2023-02-29 00:00:00",
        "2023-13-01 00:00:00",
        "2023-11-16 24:00:00",
        "2023-11-16",
        "1969-12-31 00:00:00",
        "2023-11-16 18:15:46.",
        "+023-11-16 18:15:46",
        "2023-11-16 18:15:46+0000",
        "2023-11-16 18:15:46+24:00",
        "2023-11-16 18:15:46+00:60",
        "2023-11-16 18:15:46+00:00Z",
        "2023-11-16 18:15:46-",
        "1970-01-01 00:00:00+00:01",
    ] {
        assert!(
            refused(&format!("{time},1,1\n")).contains("a time such as"),
            "{time}"
        );
    }
    assert!(
        refused("2023-11-16 18:15:46,NaN,1\n").starts_with("line 2, column `ContextTokens`: `NaN`")
    );
    assert!(
        refused("2023-11-16 18:15:46,1,-1\n").starts_with("line 2, column `GeneratedTokens`: `-1`")
    );
    for tokens in ["44.5", "44.", ".0", "-1.0", "4.0.0"] {
        let refused = refused(&format!("2023-11-16 18:15:46,{tokens},1\n"));
        assert!(refused.contains("a whole number from 0"), "{refused}");
    }
    assert!(refused("2023-11-16 18:15:46,1\n").contains("line: 2"));
    let missing = parse_requests(b"TIMESTAMP,Tokens\n2023-11-16 18:15:46,1\n").unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("column `ContextTokens` is missing"),
        "{missing}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, lines in "[-0-9: .,TZ\n]{0,80}") {
        let text = format!("{HEADER}{lines}");
        for bytes in [&bytes[..], text.as_bytes()] {
            let read = parse_requests(bytes).unwrap_or_default();
            prop_assert!(read.is_sorted_by_key(|of| of.after));
        }
    }

    #[test]
    fn what_is_written_is_read(
        start in 0_u64..4_000_000_000, gaps in proptest::collection::vec((0_u32..9_999_999, 0_u32..9_999, 0_u32..9_999), 1..30),
    ) {
        let mut at = 0;
        let mut expected = Vec::new();
        let lines = gaps.iter().map(|&(gap, context, generated)| {
            let after = Span::from_millis(at);
            expected.push(Traced { after, context, generated });
            let time = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + std::time::Duration::from_millis(start * 1_000 + at));
            at += u64::from(gap);
            format!("{},{context},{generated}\n", time.to_string().replace('T', " ").replace('Z', "0000"))
        });
        let lines: String = lines.collect();
        prop_assert_eq!(read(&lines).unwrap(), expected);
    }
}
