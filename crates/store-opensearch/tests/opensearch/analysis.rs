//! The analysis that OpenSearch does is the tokeniser of `domain`: token by token, position by position.

use crate::server::{Prefix, at};
use domain::text::{query_terms, tokenize};
use opensearch::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::index::conformance::corpus::Dice;

/// Terms by position; a single and a pair that share one are in no order.
type Tokens = BTreeSet<(u64, String)>;

fn ours(text: &str) -> Tokens {
    let mut tokens = Tokens::new();
    tokenize(text, |token| {
        tokens.insert((token.position.into(), token.term.to_owned()));
    });
    tokens
}

async fn theirs(url: &str, analyzer: &str, index: &str, text: &str) -> Tokens {
    let path = format!("{index}/_analyze");
    let body = json!({ "analyzer": analyzer, "text": text }).to_string();
    let answer = crate::server::ask(url, Method::Post, &path, &body).await;
    let tokens = answer["tokens"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let token = |t: &Value| (t["position"].as_u64().unwrap(), t["token"].as_str().unwrap().to_owned());
    tokens.iter().map(token).collect()
}

async fn check(url: &str, index: &str, text: &str) {
    // Stored text is in NFC.
    let text = &*domain::text::nfc(text);
    let shown = text.chars().take(60).collect::<String>();
    let (ours, found) = (ours(text), theirs(url, "qgx", index, text).await);
    let only_ours = ours.difference(&found).take(5).collect::<Vec<_>>();
    let only_theirs = found.difference(&ours).take(5).collect::<Vec<_>>();
    assert!(only_ours.is_empty() && only_theirs.is_empty(), "{shown:?}: {only_ours:?}, not {only_theirs:?}");
    // A phrase asks for nothing that the text has not, and for all that our own phrases ask for.
    let asked = theirs(url, "qgx_phrase", index, &domain::text::fold(text)).await;
    assert!(asked.is_subset(&ours), "{shown:?} as a phrase");
    let needed = query_terms(text).into_iter().map(|term| (u64::from(term.position), term.term));
    assert!(needed.collect::<Tokens>().is_subset(&asked), "{shown:?} as a phrase lacks a term");
}

#[tokio::test]
async fn tokens_are_the_same() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    prefix.open().ensure().await.unwrap();
    let index = format!("{}qgx-events-30d-g1-2026.11.22", prefix.options().prefix);
    crate::server::ask(&url, Method::Put, &index, "{}").await;
    for text in [
        "GPU온도가 3시간 ㅋㅋㅋ ㅠㅠ",
        "__a__ b-c ___ x _ _1 가_나 가__나",
        "Failed password for root from 10.0.0.1 port 22 ssh2 blk_42 sha256",
        "ＦＵＬＬ　東京ﾃｽﾄ 한글English혼합 café cafe\u{301} Ａ１＿",
        "온\u{301}도 ㅋ\u{301}ㅋ a\u{301}\u{323}b \u{301}a 가\u{301} 나",
        "ﾊﾞ ｶﾞｷﾞ パパ が ゛゜ーー 々〆〇〡",
        "ΟΔΟΣ οδος İstanbul Straße STRASSE ſs ẞ K Å Ω ǅ ᾈ",
        "\u{20000}\u{20001}x\u{1b000}\u{1b001}",
        "ﾻﾻ ￂ ￦ ￠ ￣ 𝐀 ① ² ½ Ⅷ ⅷ",
        "สวัสดีครับ नमस्ते שלום مرحبا ქართული ᲥᲐᲠ Ꭰꭰ",
        "😀 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} №1 ㎏ ㈜",
        "",
        " . , ;",
    ] {
        check(&url, &index, text).await;
    }
    for text in [
        "a".repeat(600) + " b",
        "é".repeat(200) + "x",
        "ก".repeat(300) + " y",
        "_".repeat(300) + "abc",
        "_".repeat(600),
        "가".repeat(500),
        "a_".repeat(300),
        "가a".repeat(300),
    ] {
        check(&url, &index, &text).await;
    }
    prefix.remove().await;
}

/// Every character of the scripts that people write, on its own between others.
#[tokio::test]
async fn every_character_is_of_the_same_class() {
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    prefix.open().ensure().await.unwrap();
    let index = format!("{}qgx-events-30d-g1-2026.11.22", prefix.options().prefix);
    crate::server::ask(&url, Method::Put, &index, "{}").await;
    let blocks = [
        '\u{20}'..='\u{52f}',
        '\u{531}'..='\u{58f}',
        '\u{5d0}'..='\u{5ea}',
        '\u{620}'..='\u{64a}',
        '\u{e01}'..='\u{e3a}',
        '\u{1100}'..='\u{11ff}',
        '\u{1e00}'..='\u{20bf}',
        '\u{2100}'..='\u{2bff}',
        '\u{3000}'..='\u{33ff}',
        '\u{4e00}'..='\u{4fff}',
        '\u{a960}'..='\u{a97c}',
        '\u{ac00}'..='\u{acff}',
        '\u{d7b0}'..='\u{d7fb}',
        '\u{ff01}'..='\u{ffee}',
        '\u{1f300}'..='\u{1f64f}',
        '\u{20000}'..='\u{20100}',
    ];
    for chars in blocks.into_iter().map(Vec::from_iter) {
        for some in chars.chunks(200) {
            let text = some.iter().map(|c| format!("a{c}b 가{c}나 {c} ")).collect::<String>();
            check(&url, &index, &text).await;
        }
    }
    prefix.remove().await;
}

/// Characters of every class, thrown together.
#[tokio::test]
async fn any_mixture_is_the_same() {
    const POOL: &str = "aaZé__-. \u{301}\u{323}가각온도ㅋㅋㅠ東京々カﾃﾞー゛09１ßςΣЯ😀\u{20000}กิ";
    let Some(url) = at() else { return };
    let prefix = Prefix::new(&url);
    prefix.open().ensure().await.unwrap();
    let index = format!("{}qgx-events-30d-g1-2026.11.22", prefix.options().prefix);
    crate::server::ask(&url, Method::Put, &index, "{}").await;
    let pool = POOL.chars().collect::<Vec<_>>();
    let mut dice = Dice(29);
    for _ in 0..40 {
        let text = (0..400).map(|_| pool[dice.roll(pool.len())]).collect::<String>();
        check(&url, &index, &text).await;
    }
    prefix.remove().await;
}
