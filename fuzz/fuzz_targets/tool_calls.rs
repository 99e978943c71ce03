//! What models write where they may call tools: what is shown does not depend on how it was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_tokens::tools::{Piece, Reader, Style};

/// Pieces, neighbours of one kind joined.
fn read<'a>(style: Style, cuts: impl Iterator<Item = &'a str>) -> Vec<Piece> {
    let mut reader = Reader::new(style);
    let mut pieces: Vec<Piece> = cuts.flat_map(|cut| reader.push(cut)).collect();
    pieces.extend(reader.finish());
    pieces.into_iter().fold(Vec::new(), |mut joined, piece| {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more))
            | (Some(Piece::Arguments(text)), Piece::Arguments(more)) => text.push_str(&more),
            (_, piece) => joined.push(piece),
        }
        joined
    })
}

fuzz_target!(|text: &str| {
    for style in [Style::Tagged, Style::Bare] {
        let whole = read(style, std::iter::once(text));
        let cut = read(style, text.split_inclusive(|_| true));
        assert_eq!(whole, cut);
    }
});
