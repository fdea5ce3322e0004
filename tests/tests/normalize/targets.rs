//! Targets of requests as an attacker spells them. They are the same each time.

/// Each has been, or might have been, read in two ways.
const WRITTEN_OUT: [&[u8]; 48] = [
    b"/",
    b"//",
    b"///",
    b"/.",
    b"/..",
    b"/a/b/c",
    b"/a//b///c",
    b"/a/./b/../c",
    b"/a/b/..//../c",
    b"/../../a",
    b"/a/...",
    b"/a/..b/.c",
    b"/a/%2e%2E/b",
    b"/a/%2e./b",
    b"/a\\..\\b",
    b"/\\a",
    b"/%61dmin",
    b"/~%7e%2D%5f",
    b"/a%3Ab%3a",
    b"/a%20%7b%C3%A9",
    b"/a\"<>^`{|}",
    b"/[a]!$&'()*+,;=:@",
    b"/%",
    b"/%%",
    b"/%zz%4",
    b"/%2561",
    b"/%252e%252e/a",
    b"/%%36%31",
    b"/%%30%30",
    b"/%%32%66",
    b"/%2%66",
    b"/a%2fb",
    b"/a%5Cb",
    b"/a/%2e%2e%2fb",
    b"/a%2f..%5c..%2Fb",
    b"/a/..;x/b",
    b"/a/.;x/b",
    b"/a/..;",
    b"/a/...;x",
    b"/a/%2e%2e;x/b",
    b"/a/..%3bx/b",
    b"/a\\..;x\\b",
    b"/a%2f..;x%2fb",
    b"/a;x/../b",
    b"*",
    b"?",
    b"a/b",
    b"/a?b=/../%2f//",
];

/// What paths are made of.
const PIECES: [&[u8]; 72] = [
    b"/",
    b"/",
    b"/",
    b"/",
    b"/a",
    b"/b",
    b"a",
    b"c",
    b"1",
    b".",
    b"..",
    b"/../",
    b"/./",
    b"/..",
    b"/.",
    b"//",
    b"%2e",
    b"%2E",
    b"%2e%2e",
    b"%2E.",
    b"/%2e",
    b";x",
    b";",
    b"/..;x",
    b"/..;",
    b"/.;x/",
    b"%2e%2e;a",
    b".;",
    b"%3b",
    b"%3B",
    b"\\",
    b"/\\",
    b"\\..\\",
    b"%%36%31",
    b"%%30%30",
    b"%%32%65",
    b"%%32%66",
    b"%",
    b"%%",
    b"%2",
    b"%4",
    b"%zz",
    b"%61",
    b"%41",
    b"%7e",
    b"%2D",
    b"%5f",
    b"%25",
    b"%252e",
    b"%252F",
    b"%2561",
    b"%20",
    b"%7B",
    b"%3f",
    b"%23",
    b"%c3%a9",
    b"%0a",
    b"%7f",
    b"\"",
    b"<",
    b">",
    b"^",
    b"`",
    b"{",
    b"|",
    b"}",
    b"[]",
    b"~",
    b"$&'()*+,:=@!",
    b"6",
    b"%36",
    b"f",
];

/// What some proxies refuse and others decode.
const SLASHES: [&[u8]; 8] =
    [b"%2f", b"%2F", b"%5c", b"%5C", b"%2f..%2f", b"%5C%2e%2e%5c", b"..%2f", b"/%2e%2e%2F"];

/// What all of them refuse, or almost all.
const REFUSED: [&[u8]; 9] =
    [b"%00", b"#", b"#/../", b"\xc3\xa9", b"\xff", b"\x7f", b"\x01", b"\t", b" "];

const QUERIES: [&[u8]; 9] =
    [b"", b"q=/../a", b"%2f//", b"a?b", b"\\..\\%61", b"%00", b"a#b", b"\xc3\xa9", b"\x7f"];

/// Those that are written out, and so many made up.
pub fn all(made_up: usize) -> Vec<Vec<u8>> {
    let mut chance = Chance(0x706f_7374_6572_6e00);
    let made_up = std::iter::repeat_with(|| make_up(&mut chance)).take(made_up);
    WRITTEN_OUT.iter().map(|target| target.to_vec()).chain(made_up).collect()
}

fn make_up(chance: &mut Chance) -> Vec<u8> {
    let mut target = if chance.one_in(60) { Vec::new() } else { b"/".to_vec() };
    for _ in 0..=chance.below(9) {
        target.extend(chance.pick(&PIECES));
    }
    // Rarely: what is refused is not read.
    if chance.one_in(4) {
        target.extend(chance.pick(&SLASHES));
        target.extend(chance.pick(&PIECES));
    }
    if chance.one_in(16) {
        target.extend(chance.pick(&REFUSED));
        target.extend(chance.pick(&PIECES));
    }
    if chance.one_in(10) {
        target.push(b'?');
        target.extend(chance.pick(&QUERIES));
    }
    target
}

/// SplitMix64: equal seeds, equal targets.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) >> 33).expect("31 bits") % end
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick(&mut self, from: &[&'static [u8]]) -> &'static [u8] {
        from[self.below(from.len())]
    }
}
