//! Folding: NFC, then the fixed table, then NFC again where characters may have come to compose.

use super::fold_table::fold_char;
use unicode_normalization::{
    IsNormalized,
    char::{canonical_combining_class, compose, decompose_canonical},
    is_nfc_quick,
};

/// The value as exact matches compare it: NFC, normal width, lower case.
pub fn fold(value: &str) -> String {
    let mut folded = String::with_capacity(value.len());
    fold_into(value, &mut folded);
    folded
}

/// Appends the folded value; see [`fold`].
pub fn fold_into(value: &str, out: &mut String) {
    if value.is_ascii() {
        let start = out.len();
        out.push_str(value);
        out[start..].make_ascii_lowercase();
    } else {
        fold_chars(value, |c, _, _| out.push(c));
    }
}

/// Normalisation form C (UAX #15). Borrows what is in that form already.
pub fn nfc(value: &str) -> std::borrow::Cow<'_, str> {
    if value.is_ascii() || is_nfc_quick(value.chars()) == IsNormalized::Yes {
        return value.into();
    }
    let mut chars = value.chars().collect();
    compose_all(&mut chars);
    chars.into_iter().collect::<String>().into()
}

/// Calls `sink` with each folded character and the bytes of the original that it came from. Characters that were
/// composed, reordered or taken apart all have the bytes of the whole sequence.
pub(super) fn fold_chars(text: &str, mut sink: impl FnMut(char, usize, usize)) {
    let mut rest = text.char_indices().peekable();
    let mut sequence = Vec::new();
    while let Some((start, c)) = rest.next() {
        let next = rest.peek().copied();
        let mut end = next.map_or(text.len(), |(at, _)| at);
        if next.is_none_or(|(_, n)| starts_sequence(n)) && stands_alone(c) {
            sink(fold_char(c), start, end);
            continue;
        }
        while let Some((at, n)) = rest.next_if(|(_, n)| !starts_sequence(*n)) {
            end = at + n.len_utf8();
        }
        sequence.clear();
        sequence.extend(text[start..end].chars());
        compose_all(&mut sequence);
        sequence.iter_mut().for_each(|c| *c = fold_char(*c));
        compose_all(&mut sequence);
        sequence.iter().for_each(|c| sink(*c, start, end));
    }
}

/// Blocks of characters that NFC leaves alone and that never compose with what stands before them.
fn inert(c: char) -> bool {
    matches!(c,
        '\0'..='\u{2ff}'
        | '\u{400}'..='\u{482}'
        | '\u{2010}'..='\u{206f}'
        | '\u{2190}'..='\u{21ff}'
        | '\u{2500}'..='\u{26ff}'
        | '\u{3000}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fc}'
        | '\u{3131}'..='\u{318e}'
        | '\u{4e00}'..='\u{9fff}'
        | '가'..='힣'
        | '\u{ff01}'..='\u{ffee}')
}

/// Whether NFC leaves the character as it is when nothing follows that composes with it.
fn stands_alone(c: char) -> bool {
    inert(c) || is_nfc_quick(std::iter::once(c)) != IsNormalized::No
}

/// Whether nothing before the character composes with it or is reordered past it.
fn starts_sequence(c: char) -> bool {
    if inert(c) {
        return true;
    }
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(c);
    canonical_combining_class(first) == 0 && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
}

/// NFC in place (UAX #15, "Description of Norm"): decompose, order, compose. Only the canonical tables are used,
/// which spares the browser the much larger compatibility ones.
fn compose_all(chars: &mut Vec<char>) {
    let mut parts = Vec::with_capacity(chars.len() * 2);
    for c in chars.drain(..) {
        decompose_canonical(c, |part| parts.push((canonical_combining_class(part), part)));
    }
    let mut from = 0;
    while from < parts.len() {
        let run = parts[from..].iter().take_while(|(class, _)| *class != 0).count();
        parts[from..from + run].sort_by_key(|(class, _)| *class);
        from += run + 1;
    }
    let mut starter: Option<usize> = None;
    let mut last_class = 0;
    for (class, c) in parts {
        if let Some(at) = starter {
            let blocked = if chars.len() == at + 1 { false } else { last_class == 0 || last_class >= class };
            if !blocked && let Some(composed) = compose(chars[at], c) {
                chars[at] = composed;
                continue;
            }
        }
        if class == 0 {
            starter = Some(chars.len());
        }
        last_class = class;
        chars.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    fn check(value: &str, expect: &str) {
        assert_eq!(fold(value), expect, "{value:?}");
    }

    #[test]
    fn width_case_and_composition() {
        check("", "");
        check("PUMP-1", "pump-1");
        check("ＧＰＵ　온도", "gpu 온도");
        check("ｶﾀｶﾅ", "カタカナ");
        check("ΟΔΟΣ οδος", "οδοσ οδοσ");
        check("\u{1112}\u{1161}\u{11ab}글", "한글");
        check("e\u{301}É", "éé");
        check("H\u{331}", "\u{1e96}");
        check("ㅋㅋ ﾻﾻ", "ㅋㅋ ㅋㅋ");
        check("Ａ\u{300}", "à");
        check("İstanbul Straße", "istanbul straße");
        check("\u{212b}\u{2126}", "åω");
    }

    #[test]
    fn inert_characters_are_inert() {
        for c in ('\0'..=char::MAX).filter(|c| inert(*c)) {
            assert!(is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes, "{c:?}");
            let first = [c].into_iter().nfd().next().unwrap();
            assert_eq!(canonical_combining_class(first), 0, "{c:?}");
            assert!(is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes, "{c:?}");
        }
    }

    #[test]
    fn folding_starts_sequences_where_they_were() {
        for c in '\0'..=char::MAX {
            assert_eq!(starts_sequence(c), starts_sequence(fold_char(c)), "{c:?}");
        }
    }

    /// Text rich in what composes, is wide, or has case.
    fn tricky() -> impl Strategy<Value = String> {
        let c = prop_oneof![
            any::<char>(),
            prop::sample::select(
                "aAeEhHiIsSßİıﾊﾞﾟｶＡ１ー가각ㅋￂ온\u{1100}\u{1161}\u{11a8}\u{300}\u{301}\u{307}\u{323}\u{331}\u{345}\
                 \u{3099}\u{9be}\u{9c7}\u{344}\u{f71}\u{f73}"
                    .chars()
                    .collect::<Vec<_>>()
            ),
        ];
        prop::collection::vec(c, 0..24).prop_map(|c| c.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nfc_is_unicodes(text in tricky()) {
            let ours = nfc(&text);
            prop_assert_eq!(ours.as_ref(), text.nfc().collect::<String>());
        }

        #[test]
        fn folding_is_idempotent(text in tricky()) {
            let once = fold(&text);
            prop_assert_eq!(&fold(&once), &once);
            prop_assert_eq!(nfc(&once).into_owned(), once);
        }

        #[test]
        fn folding_ignores_the_normal_form(text in tricky()) {
            prop_assert_eq!(fold(&text.nfd().collect::<String>()), fold(&text));
        }
    }
}
