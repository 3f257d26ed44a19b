//! The fixed table of width and case: one character to one character, whatever Unicode version the toolchain has,
//! because an index written today is searched by next year's build.

/// Runs of characters with a simple case mapping: first, last, stride, and what to add. Simple lower-casing of
/// simple upper-casing, as of Unicode 17 (so that ς, σ and Σ are one, as are ſ, s and S); `İ` is `i`, and `ı`
/// stays. Never more than one character, hence ß stays ß.
const CASE: [(u32, u32, u32, i32); 205] = [
    (0x000b5, 0x000b5, 1, 775),
    (0x000c0, 0x000d6, 1, 32),
    (0x000d8, 0x000de, 1, 32),
    (0x00100, 0x0012e, 2, 1),
    (0x00130, 0x00130, 1, -199),
    (0x00132, 0x00136, 2, 1),
    (0x00139, 0x00147, 2, 1),
    (0x0014a, 0x00176, 2, 1),
    (0x00178, 0x00178, 1, -121),
    (0x00179, 0x0017d, 2, 1),
    (0x0017f, 0x0017f, 1, -268),
    (0x00181, 0x00181, 1, 210),
    (0x00182, 0x00184, 2, 1),
    (0x00186, 0x00186, 1, 206),
    (0x00187, 0x00187, 1, 1),
    (0x00189, 0x0018a, 1, 205),
    (0x0018b, 0x0018b, 1, 1),
    (0x0018e, 0x0018e, 1, 79),
    (0x0018f, 0x0018f, 1, 202),
    (0x00190, 0x00190, 1, 203),
    (0x00191, 0x00191, 1, 1),
    (0x00193, 0x00193, 1, 205),
    (0x00194, 0x00194, 1, 207),
    (0x00196, 0x00196, 1, 211),
    (0x00197, 0x00197, 1, 209),
    (0x00198, 0x00198, 1, 1),
    (0x0019c, 0x0019c, 1, 211),
    (0x0019d, 0x0019d, 1, 213),
    (0x0019f, 0x0019f, 1, 214),
    (0x001a0, 0x001a4, 2, 1),
    (0x001a6, 0x001a6, 1, 218),
    (0x001a7, 0x001a7, 1, 1),
    (0x001a9, 0x001a9, 1, 218),
    (0x001ac, 0x001ac, 1, 1),
    (0x001ae, 0x001ae, 1, 218),
    (0x001af, 0x001af, 1, 1),
    (0x001b1, 0x001b2, 1, 217),
    (0x001b3, 0x001b5, 2, 1),
    (0x001b7, 0x001b7, 1, 219),
    (0x001b8, 0x001b8, 1, 1),
    (0x001bc, 0x001bc, 1, 1),
    (0x001c4, 0x001c4, 1, 2),
    (0x001c5, 0x001c5, 1, 1),
    (0x001c7, 0x001c7, 1, 2),
    (0x001c8, 0x001c8, 1, 1),
    (0x001ca, 0x001ca, 1, 2),
    (0x001cb, 0x001db, 2, 1),
    (0x001de, 0x001ee, 2, 1),
    (0x001f1, 0x001f1, 1, 2),
    (0x001f2, 0x001f4, 2, 1),
    (0x001f6, 0x001f6, 1, -97),
    (0x001f7, 0x001f7, 1, -56),
    (0x001f8, 0x0021e, 2, 1),
    (0x00220, 0x00220, 1, -130),
    (0x00222, 0x00232, 2, 1),
    (0x0023a, 0x0023a, 1, 10795),
    (0x0023b, 0x0023b, 1, 1),
    (0x0023d, 0x0023d, 1, -163),
    (0x0023e, 0x0023e, 1, 10792),
    (0x00241, 0x00241, 1, 1),
    (0x00243, 0x00243, 1, -195),
    (0x00244, 0x00244, 1, 69),
    (0x00245, 0x00245, 1, 71),
    (0x00246, 0x0024e, 2, 1),
    (0x00370, 0x00372, 2, 1),
    (0x00376, 0x00376, 1, 1),
    (0x0037f, 0x0037f, 1, 116),
    (0x00386, 0x00386, 1, 38),
    (0x00388, 0x0038a, 1, 37),
    (0x0038c, 0x0038c, 1, 64),
    (0x0038e, 0x0038f, 1, 63),
    (0x00391, 0x003a1, 1, 32),
    (0x003a3, 0x003ab, 1, 32),
    (0x003c2, 0x003c2, 1, 1),
    (0x003cf, 0x003cf, 1, 8),
    (0x003d0, 0x003d0, 1, -30),
    (0x003d1, 0x003d1, 1, -25),
    (0x003d5, 0x003d5, 1, -15),
    (0x003d6, 0x003d6, 1, -22),
    (0x003d8, 0x003ee, 2, 1),
    (0x003f0, 0x003f0, 1, -54),
    (0x003f1, 0x003f1, 1, -48),
    (0x003f4, 0x003f4, 1, -60),
    (0x003f5, 0x003f5, 1, -64),
    (0x003f7, 0x003f7, 1, 1),
    (0x003f9, 0x003f9, 1, -7),
    (0x003fa, 0x003fa, 1, 1),
    (0x003fd, 0x003ff, 1, -130),
    (0x00400, 0x0040f, 1, 80),
    (0x00410, 0x0042f, 1, 32),
    (0x00460, 0x00480, 2, 1),
    (0x0048a, 0x004be, 2, 1),
    (0x004c0, 0x004c0, 1, 15),
    (0x004c1, 0x004cd, 2, 1),
    (0x004d0, 0x0052e, 2, 1),
    (0x00531, 0x00556, 1, 48),
    (0x010a0, 0x010c5, 1, 7264),
    (0x010c7, 0x010c7, 1, 7264),
    (0x010cd, 0x010cd, 1, 7264),
    (0x013a0, 0x013ef, 1, 38864),
    (0x013f0, 0x013f5, 1, 8),
    (0x01c80, 0x01c80, 1, -6222),
    (0x01c81, 0x01c81, 1, -6221),
    (0x01c82, 0x01c82, 1, -6212),
    (0x01c83, 0x01c84, 1, -6210),
    (0x01c85, 0x01c85, 1, -6211),
    (0x01c86, 0x01c86, 1, -6204),
    (0x01c87, 0x01c87, 1, -6180),
    (0x01c88, 0x01c88, 1, 35267),
    (0x01c89, 0x01c89, 1, 1),
    (0x01c90, 0x01cba, 1, -3008),
    (0x01cbd, 0x01cbf, 1, -3008),
    (0x01e00, 0x01e94, 2, 1),
    (0x01e9b, 0x01e9b, 1, -58),
    (0x01e9e, 0x01e9e, 1, -7615),
    (0x01ea0, 0x01efe, 2, 1),
    (0x01f08, 0x01f0f, 1, -8),
    (0x01f18, 0x01f1d, 1, -8),
    (0x01f28, 0x01f2f, 1, -8),
    (0x01f38, 0x01f3f, 1, -8),
    (0x01f48, 0x01f4d, 1, -8),
    (0x01f59, 0x01f5f, 2, -8),
    (0x01f68, 0x01f6f, 1, -8),
    (0x01f88, 0x01f8f, 1, -8),
    (0x01f98, 0x01f9f, 1, -8),
    (0x01fa8, 0x01faf, 1, -8),
    (0x01fb8, 0x01fb9, 1, -8),
    (0x01fba, 0x01fbb, 1, -74),
    (0x01fbc, 0x01fbc, 1, -9),
    (0x01fbe, 0x01fbe, 1, -7173),
    (0x01fc8, 0x01fcb, 1, -86),
    (0x01fcc, 0x01fcc, 1, -9),
    (0x01fd8, 0x01fd9, 1, -8),
    (0x01fda, 0x01fdb, 1, -100),
    (0x01fe8, 0x01fe9, 1, -8),
    (0x01fea, 0x01feb, 1, -112),
    (0x01fec, 0x01fec, 1, -7),
    (0x01ff8, 0x01ff9, 1, -128),
    (0x01ffa, 0x01ffb, 1, -126),
    (0x01ffc, 0x01ffc, 1, -9),
    (0x02126, 0x02126, 1, -7517),
    (0x0212a, 0x0212a, 1, -8383),
    (0x0212b, 0x0212b, 1, -8262),
    (0x02132, 0x02132, 1, 28),
    (0x02160, 0x0216f, 1, 16),
    (0x02183, 0x02183, 1, 1),
    (0x024b6, 0x024cf, 1, 26),
    (0x02c00, 0x02c2f, 1, 48),
    (0x02c60, 0x02c60, 1, 1),
    (0x02c62, 0x02c62, 1, -10743),
    (0x02c63, 0x02c63, 1, -3814),
    (0x02c64, 0x02c64, 1, -10727),
    (0x02c67, 0x02c6b, 2, 1),
    (0x02c6d, 0x02c6d, 1, -10780),
    (0x02c6e, 0x02c6e, 1, -10749),
    (0x02c6f, 0x02c6f, 1, -10783),
    (0x02c70, 0x02c70, 1, -10782),
    (0x02c72, 0x02c72, 1, 1),
    (0x02c75, 0x02c75, 1, 1),
    (0x02c7e, 0x02c7f, 1, -10815),
    (0x02c80, 0x02ce2, 2, 1),
    (0x02ceb, 0x02ced, 2, 1),
    (0x02cf2, 0x02cf2, 1, 1),
    (0x0a640, 0x0a66c, 2, 1),
    (0x0a680, 0x0a69a, 2, 1),
    (0x0a722, 0x0a72e, 2, 1),
    (0x0a732, 0x0a76e, 2, 1),
    (0x0a779, 0x0a77b, 2, 1),
    (0x0a77d, 0x0a77d, 1, -35332),
    (0x0a77e, 0x0a786, 2, 1),
    (0x0a78b, 0x0a78b, 1, 1),
    (0x0a78d, 0x0a78d, 1, -42280),
    (0x0a790, 0x0a792, 2, 1),
    (0x0a796, 0x0a7a8, 2, 1),
    (0x0a7aa, 0x0a7aa, 1, -42308),
    (0x0a7ab, 0x0a7ab, 1, -42319),
    (0x0a7ac, 0x0a7ac, 1, -42315),
    (0x0a7ad, 0x0a7ad, 1, -42305),
    (0x0a7ae, 0x0a7ae, 1, -42308),
    (0x0a7b0, 0x0a7b0, 1, -42258),
    (0x0a7b1, 0x0a7b1, 1, -42282),
    (0x0a7b2, 0x0a7b2, 1, -42261),
    (0x0a7b3, 0x0a7b3, 1, 928),
    (0x0a7b4, 0x0a7c2, 2, 1),
    (0x0a7c4, 0x0a7c4, 1, -48),
    (0x0a7c5, 0x0a7c5, 1, -42307),
    (0x0a7c6, 0x0a7c6, 1, -35384),
    (0x0a7c7, 0x0a7c9, 2, 1),
    (0x0a7cb, 0x0a7cb, 1, -42343),
    (0x0a7cc, 0x0a7da, 2, 1),
    (0x0a7dc, 0x0a7dc, 1, -42561),
    (0x0a7f5, 0x0a7f5, 1, 1),
    (0x0ff21, 0x0ff3a, 1, 32),
    (0x10400, 0x10427, 1, 40),
    (0x104b0, 0x104d3, 1, 40),
    (0x10570, 0x1057a, 1, 39),
    (0x1057c, 0x1058a, 1, 39),
    (0x1058c, 0x10592, 1, 39),
    (0x10594, 0x10595, 1, 39),
    (0x10c80, 0x10cb2, 1, 64),
    (0x10d50, 0x10d65, 1, 32),
    (0x118a0, 0x118bf, 1, 32),
    (0x16e40, 0x16e5f, 1, 32),
    (0x16ea0, 0x16eb8, 1, 27),
    (0x1e900, 0x1e921, 1, 34),
];

/// Half-width katakana and their punctuation, U+FF61 to U+FF9F, in full width. The sound marks become the spacing
/// ones: a combining one would compose with the character before it.
const KATAKANA: [char; 63] = [
    '。', '「', '」', '、', '・', 'ヲ', 'ァ', 'ィ', 'ゥ', 'ェ', 'ォ', 'ャ', 'ュ', 'ョ', 'ッ', 'ー', 'ア',
    'イ', 'ウ', 'エ', 'オ', 'カ', 'キ', 'ク', 'ケ', 'コ', 'サ', 'シ', 'ス', 'セ', 'ソ', 'タ', 'チ', 'ツ',
    'テ', 'ト', 'ナ', 'ニ', 'ヌ', 'ネ', 'ノ', 'ハ', 'ヒ', 'フ', 'ヘ', 'ホ', 'マ', 'ミ', 'ム', 'メ', 'モ',
    'ヤ', 'ユ', 'ヨ', 'ラ', 'リ', 'ル', 'レ', 'ロ', 'ワ', 'ン', '゛', '゜',
];

/// The signs of U+FFE0 to U+FFEE in their normal width.
const SIGNS: [char; 15] = ['¢', '£', '¬', '¯', '¦', '¥', '₩', '\u{ffe7}', '│', '←', '↑', '→', '↓', '■', '○'];

/// The normal form of a character in width and case.
pub(super) fn fold_char(c: char) -> char {
    match c {
        '\0'..='\x7f' => c.to_ascii_lowercase(),
        // The great majority of Korean, Chinese and Japanese text has neither case nor width.
        '\u{2e80}'..='\u{9fff}' | '가'..='힣' => {
            if c == '\u{3000}' {
                ' '
            } else {
                c
            }
        }
        '\u{ff00}'..='\u{ffef}' => {
            let normal = normal_width(c);
            if normal.is_ascii() { normal.to_ascii_lowercase() } else { normal }
        }
        _ => lower(c),
    }
}

fn normal_width(c: char) -> char {
    let code = c as u32;
    let moved = match code {
        0xff01..=0xff5e => code - 0xfee0,
        0xff5f..=0xff60 => code - 0xff5f + 0x2985,
        0xff61..=0xff9f => return KATAKANA[(code - 0xff61) as usize],
        0xffa0 => 0x3164,
        0xffa1..=0xffbe => code - 0xffa1 + 0x3131,
        0xffc2..=0xffc7 => code - 0xffc2 + 0x314f,
        0xffca..=0xffcf => code - 0xffca + 0x3155,
        0xffd2..=0xffd7 => code - 0xffd2 + 0x315b,
        0xffda..=0xffdc => code - 0xffda + 0x3161,
        0xffe0..=0xffee => return SIGNS[(code - 0xffe0) as usize],
        _ => code,
    };
    char::from_u32(moved).unwrap_or(c)
}

fn lower(c: char) -> char {
    let code = c as u32;
    let at = CASE.partition_point(|run| run.1 < code);
    match CASE.get(at) {
        Some(&(first, _, stride, add)) if code >= first && (code - first).is_multiple_of(stride) => {
            code.checked_add_signed(add).and_then(char::from_u32).unwrap_or(c)
        }
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

    fn one(mut chars: impl Iterator<Item = char>) -> Option<char> {
        let first = chars.next()?;
        chars.next().is_none().then_some(first)
    }

    /// What [`CASE`] was made from. A newer toolchain may know more letters: then the table wins, and this test
    /// gets a range of characters to leave out.
    fn rule(c: char) -> char {
        match c {
            'İ' => 'i',
            'ı' | '\u{345}' => c,
            _ => {
                let upper = one(c.to_uppercase()).unwrap_or(c);
                one(upper.to_lowercase()).unwrap_or(c)
            }
        }
    }

    #[test]
    fn case_is_simple_lower_casing() {
        for c in '\0'..='\u{feff}' {
            assert_eq!(fold_char(c), if c == '\u{3000}' { ' ' } else { rule(c) }, "{c:?}");
        }
        for c in '\u{10000}'..=char::MAX {
            assert_eq!(fold_char(c), rule(c), "{c:?}");
        }
    }

    #[test]
    fn width_is_what_unicode_calls_compatible() {
        // Sound marks aside (see KATAKANA), and jamo, which go to the compatibility block and not to conjoining ones.
        for c in '\u{ff01}'..='\u{ffee}' {
            if matches!(c, '\u{ff9e}' | '\u{ff9f}' | '\u{ffa0}'..='\u{ffdc}' | '\u{ffe3}') {
                continue;
            }
            let expect = one([c].into_iter().nfkc()).map_or(c, rule);
            assert_eq!(fold_char(c), expect, "{c:?}");
        }
        for (half, full) in [('ﾡ', 'ㄱ'), ('ﾾ', 'ㅎ'), ('ￂ', 'ㅏ'), ('ￜ', 'ㅣ'), ('ﾻ', 'ㅋ')] {
            assert_eq!(fold_char(half), full);
        }
        for c in '\u{ffa1}'..='\u{ffdc}' {
            let twice = |c: char| [c].into_iter().nfkc().collect::<String>();
            assert_eq!(twice(c), twice(fold_char(c)), "{c:?}");
        }
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for c in '\0'..=char::MAX {
            assert_eq!(fold_char(fold_char(c)), fold_char(c), "{c:?}");
        }
    }

    #[test]
    fn compositions_of_folded_characters_are_folded() {
        // What makes "normalise, fold, normalise" stable.
        for c in '\0'..=char::MAX {
            let parts: Vec<char> = [c].into_iter().nfd().collect();
            if parts.len() > 1 && one([c].into_iter().nfc()) == Some(c) {
                let folded: String = parts.iter().map(|p| fold_char(*p)).collect();
                let again: String = folded.nfc().map(fold_char).collect::<String>().nfc().collect();
                assert_eq!(again, folded.nfc().collect::<String>(), "{c:?}");
            }
        }
    }

    #[test]
    fn folding_keeps_combining_classes() {
        for c in '\0'..=char::MAX {
            assert_eq!(canonical_combining_class(fold_char(c)), canonical_combining_class(c), "{c:?}");
        }
    }
}
