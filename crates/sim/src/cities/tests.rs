//! What the readers of cities and round trips take and refuse.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const HEADER: &str = "city,Lat,Long,Population\n";

fn refused(line: &str) -> String {
    let cities = parse_cities(format!("{HEADER}{line}\n").as_bytes());
    cities.unwrap_err().to_string()
}

fn three() -> Vec<City> {
    parse_cities(b"city,Lat,Long,Population\nYork,54,-1,1\nNew York,40,-74,2\nSan Jose,9,-84,3\n")
        .unwrap()
}

#[test]
fn cities_are_read_whatever_wrote_the_file() {
    let text = "\u{feff}Population,note,Long,city,Lat\r\n1225235,\"a, b\",138.6,\" Ad\"\"elaide\",-34.9\r\n0.0,,180,Ktis,90\r\n";
    let cities = parse_cities(text.as_bytes()).unwrap();
    assert_eq!(cities[0].name, "Ad\"elaide");
    assert_eq!(cities[0].place, Place::from_degrees(-34.9, 138.6).unwrap());
    assert!((cities[0].population - 1_225_235.0).abs() < 0.5);
    assert_eq!(cities.len(), 2);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    assert_eq!(
        refused("a,91,0,1"),
        "line 2, column `Lat`: `91`: a number from -90 to 90 is expected"
    );
    assert_eq!(
        refused("a,NaN,0,1"),
        "line 2, column `Lat`: `NaN`: a number from -90 to 90 is expected"
    );
    assert!(refused("a,0,-180.1,1").starts_with("line 2, column `Long`: `-180.1`"));
    assert!(refused("a,0,0,-5").starts_with("line 2, column `Population`: `-5`"));
    assert!(refused("a,0,0,inf").starts_with("line 2, column `Population`: `inf`"));
    assert_eq!(
        refused(" ,0,0,1"),
        "line 2, column `city`: ``: a name is expected"
    );
    assert_eq!(
        refused("San Jose,0,0,1\nsan+jose,1,1,1"),
        "line 3, column `city`: `san+jose`: this city is on an earlier line too"
    );
    assert!(refused("a,0,0").contains("line: 2"), "{}", refused("a,0,0"));
    let missing = parse_cities(b"city,Lat\na,1\n").unwrap_err().to_string();
    assert!(missing.starts_with("column `Long` is missing"), "{missing}");
}

#[test]
fn a_file_is_named_plain_or_gzipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cities.csv");
    let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    let said = || {
        let error = cities(&path).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"city,Lat,Long,Population\na,1,2,3\n")
        .unwrap();
    let packed = gzip.finish().unwrap();
    write(&packed);
    assert_eq!(cities(&path).unwrap().len(), 1);
    write(&packed[..packed.len() - 9]);
    assert!(said().contains("cannot read"), "{}", said());
    write(b"");
    assert!(
        said().contains("cities.csv has no city in it"),
        "{}",
        said()
    );
    write(HEADER.as_bytes());
    assert!(
        said().contains("cities.csv has no city in it"),
        "{}",
        said()
    );
    write(b"city,Lat,Long,Population\na,1,2,0\n");
    assert!(said().contains("nobody living"), "{}", said());
    write(b"city,Lat,Long,Population\na,1,x,0\n");
    assert!(
        said().contains("cities.csv cannot be used: line 2, column `Long`: `x`"),
        "{}",
        said()
    );
    assert!(cities(dir.path()).is_err());
}

#[test]
fn round_trips_are_found_by_the_longest_name() {
    let text = "avg_ms,from_city,to_city_country_continent\n\
        70.5,York,\"New York United States, North America\"\n\
        99,New+York,San Jose\n\
        1,York,Yorktown\n\
        2,Elsewhere,York\n";
    let found = parse_round_trips(text.as_bytes(), &three()).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let ms = |one, other| found.measured(one, other).map(|trip| trip.avg_ms);
    assert_eq!((ms(0, 1), ms(1, 0)), (Some(70.5), Some(70.5)));
    assert_eq!((ms(2, 1), ms(0, 2)), (Some(99.0), None));
    let unknown: Vec<_> = found.unknown().collect();
    assert_eq!(unknown, ["Elsewhere", "Yorktown"]);
}

#[test]
fn a_round_trip_that_nobody_measured_is_reckoned_by_distance() {
    let cities = three();
    let text = "from_city,to_city_country_continent,distance_km,avg_ms,min_ms,max_ms,mdev_ms\n\
        York,New York,5500,75,70.25,99,2.5\n\
        San Jose,New York,,60,,,\n";
    let found = parse_round_trips(text.as_bytes(), &cities).unwrap();
    let at = |city: usize| (city, cities[city].place);
    let trip = |avg_ms, mdev_ms| RoundTrip { avg_ms, mdev_ms };
    assert_eq!(found.between(at(1), at(0)), trip(75.0, 2.5));
    assert_eq!(found.between(at(1), at(2)), trip(60.0, 0.0));
    let km = cities[0].place.distance_km(cities[2].place);
    let reckoned = found.between(at(0), at(2)).avg_ms;
    assert!((reckoned - 10.0 - km / 60.0).abs() < 1e-9, "{reckoned}");
    assert_eq!(found.between(at(0), at(0)), trip(10.0, 0.0));
}

#[test]
fn round_trips_that_are_wrong_are_named() {
    let refused = |lines: &str| {
        let text = format!("from_city,to_city_country_continent,avg_ms\n{lines}");
        parse_round_trips(text.as_bytes(), &three())
            .unwrap_err()
            .to_string()
    };
    assert!(refused("York,San Jose,-1\n").starts_with("line 2, column `avg_ms`: `-1`"));
    assert!(refused("York,San Jose,NaN\n").starts_with("line 2, column `avg_ms`: `NaN`"));
    assert!(refused("York,San Jose,1\nYORK,San+Jose,1\n").contains("line 3"));
    assert!(
        refused("Mars,Venus,-1\n").contains("`-1`"),
        "of others, too"
    );
    let refused = |line: &str| {
        let text =
            format!("from_city,to_city_country_continent,avg_ms,min_ms,max_ms,mdev_ms\n{line}\n");
        let error = parse_round_trips(text.as_bytes(), &three()).unwrap_err();
        error.to_string()
    };
    let least = refused("York,San Jose,10,12,20,1");
    assert_eq!(
        least,
        "line 2, column `avg_ms`: `10`: it is less than min_ms of this line"
    );
    assert!(refused("York,San Jose,30,12,20,1").contains("it is more than max_ms"));
    assert!(refused("York,San Jose,15,12,20,inf").starts_with("line 2, column `mdev_ms`: `inf`"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, lines in "[a,0-9|\"\n\r+.éß-]{0,80}") {
        let header = b"from_city,to_city_country_continent,avg_ms\n";
        let trips = [header, lines.as_bytes()].concat();
        let text = [HEADER.as_bytes(), lines.as_bytes()].concat();
        for bytes in [&bytes, &trips, &text] {
            let _either = parse_round_trips(bytes, &three()).is_ok();
            for city in parse_cities(bytes).into_iter().flatten() {
                prop_assert!(!city.name.is_empty() && city.population >= 0.0);
            }
        }
    }

    #[test]
    fn round_trips_that_are_written_are_read(
        trips in proptest::collection::btree_map((0_usize..3, 0_usize..3), (0.0..60_000.0, 0.0..99.0), 0..9),
        quoted: bool,
    ) {
        let cities = three();
        let lines = trips.iter().map(|((from, to), (avg, mdev))| {
            let (from, to) = (&cities[*from].name, &cities[*to].name);
            let to = if quoted { format!("\"{to} Somewhere, Eurasia\"") } else { to.replace(' ', "+") };
            format!("{mdev},{avg},{from},{to}\n")
        });
        let text = "mdev_ms,avg_ms,from_city,to_city_country_continent\n".to_owned() + &lines.collect::<String>();
        let read = parse_round_trips(text.as_bytes(), &cities).unwrap();
        prop_assert_eq!((read.len(), read.unknown().len()), (trips.len(), 0));
        for ((from, to), (avg_ms, mdev_ms)) in trips {
            prop_assert_eq!(read.measured(from, to), Some(RoundTrip { avg_ms, mdev_ms }));
        }
    }

    #[test]
    fn what_is_written_is_read(
        rows in proptest::collection::btree_map("[A-Z][a-z]{0,9}( [A-Z][a-z]{1,5})?", (-90.0..90.0, -180.0..180.0, 0_u32..9_999), 1..20),
    ) {
        // Names that differ only in case are one.
        let keys: BTreeSet<_> = rows.keys().map(|name| key(name)).collect();
        prop_assume!(keys.len() == rows.len());
        let lines = rows.iter().map(|(name, (north, east, people))| format!("{people},\"{name}\",{east},{north}\n"));
        let text = "Population,city,Long,Lat\n".to_owned() + &lines.collect::<String>();
        let read = parse_cities(text.as_bytes()).unwrap();
        prop_assert_eq!(read.len(), rows.len());
        for (city, (name, (north, east, people))) in read.iter().zip(&rows) {
            prop_assert_eq!(&city.name, name);
            prop_assert_eq!(city.place, Place::from_degrees(*north, *east).unwrap());
            prop_assert!((city.population - f64::from(*people)).abs() < 0.5);
        }
    }
}
