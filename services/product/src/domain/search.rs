//! What a search goes by: the words of a product and of a query.
//!
//! One rule makes both, here and not in a database, so that every engine finds the same. Case and diacritics are folded;
//! words end at everything that is neither letter nor digit, so an SKU is found by its parts; apostrophes vanish. Scripts
//! that are written without spaces have a word per character. Short and frequent words are words like any other.
//!
//! English plurals become singulars, because who looks for "mugs" wants the mug. Other endings stay: results are filtered
//! and not ranked, so what a bolder stemmer mixes up (organic, organ, organise) would stand among what was meant.

use std::{collections::BTreeSet, fmt::Write as _};

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Words, each once, in an order that depends on nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(BTreeSet<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidQuery {
    #[error("must have at most {} characters", Words::MAX_QUERY)]
    TooLong,
    #[error("must have at most {} different words", Words::MAX_QUERY_WORDS)]
    TooManyWords,
}

impl Words {
    /// Characters of a query at most: more than a person types into a search box.
    pub(crate) const MAX_QUERY: usize = 100;
    /// Words of a query at most: what so many characters hold with a space behind each. Only scripts without spaces, and
    /// ligatures that stand for whole phrases, come beyond.
    pub(crate) const MAX_QUERY_WORDS: usize = 50;
    /// Bytes of a word that count. With the prefix and as hexadecimal digits they make the 84 characters that MySQL's
    /// index keeps of a word (`innodb_ft_max_token_size`).
    const MAX_WORD: usize = 40;

    /// The words of all the texts.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = BTreeSet::new();
        for text in texts {
            collect(text, &mut words);
        }
        Self(words)
    }

    /// The words of a query, none if it has none.
    pub(crate) fn of_query(query: &str) -> Result<Self, InvalidQuery> {
        if query.chars().count() > Self::MAX_QUERY {
            return Err(InvalidQuery::TooLong);
        }
        let words = Self::of([query]);
        if words.0.len() > Self::MAX_QUERY_WORDS { Err(InvalidQuery::TooManyWords) } else { Ok(words) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the indices know them: ASCII letters and digits only, so that no engine's tokenizer takes a word apart, and
    /// with a prefix, so that none is too short or a stop word to it. Nothing an engine would read as an operator.
    pub(crate) fn terms(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|word| {
            if word.is_ascii() {
                return format!("word{word}");
            }
            let mut term = "utf8".to_owned();
            for byte in word.bytes() {
                // Writing to a String can't fail.
                let _ = write!(term, "{byte:02x}");
            }
            term
        })
    }

    /// All terms as one text with a space on either side of each.
    pub(crate) fn text(&self) -> String {
        self.terms().fold(" ".to_owned(), |text, term| text + &term + " ")
    }
}

fn collect(text: &str, words: &mut BTreeSet<String>) {
    let plain = plain(text);
    let mut word = String::new();
    for letter in plain.chars().chain([' ']) {
        let alone = stands_alone(letter);
        if !alone && is_of_a_word(letter) {
            word.push(letter);
            continue;
        }
        if !word.is_empty() {
            words.insert(normal(std::mem::take(&mut word)));
        }
        if alone {
            words.insert(letter.to_string());
        }
    }
}

/// The text without case, diacritics and apostrophes.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfkd().filter(|&letter| !is_dropped(letter)).flat_map(char::to_lowercase) {
        match letter {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            // Strokes are part of the letter to Unicode, and a diacritic to whoever has no such key.
            'ø' => plain.push('o'),
            'đ' | 'ð' => plain.push('d'),
            'ł' => plain.push('l'),
            'ħ' => plain.push('h'),
            'ı' => plain.push('i'),
            'ς' => plain.push('σ'),
            _ => plain.push(letter),
        }
    }
    plain.nfc().collect()
}

/// Diacritics, the vowel signs that Hebrew and Arabic are written without, and apostrophes ("men's"). Marks of other
/// scripts are letters of theirs.
fn is_dropped(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}')
        || matches!(letter, '\'' | '\u{2019}' | '\u{2bc}')
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_alphanumeric() || is_combining_mark(letter)
}

/// Whether the letter's script is written without spaces: Thai, Lao, Burmese, Khmer, kana and Chinese characters.
fn stands_alone(letter: char) -> bool {
    is_of_a_word(letter)
        && matches!(letter,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// The word in the singular, cut to the length that counts.
fn normal(mut word: String) -> String {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        make_singular(&mut word);
    }
    word.truncate(word.floor_char_boundary(Words::MAX_WORD));
    word
}

/// Letters a word must have to be taken for a plural: "gas" and "bus" are none.
const MIN_PLURAL: usize = 4;
/// After these an "e" belongs to the plural (boxes) or to the word (axes): it goes from both.
const BEFORE_E: [&str; 6] = ["ss", "sh", "ch", "x", "z", "o"];

/// Harman's S-stemmer (How effective is suffixing?, 1991) with both spellings of an ambiguous ending made one: "cookie",
/// "cookies", "berry" and "berries" end in "y", "box" and "boxes", "size" and "sizes" without an "e".
fn make_singular(word: &mut String) {
    if word.len() >= MIN_PLURAL && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    if word.len() < MIN_PLURAL {
        return;
    }
    if let Some(stem) = word.strip_suffix("ie") {
        *word = format!("{stem}y");
    } else if let Some(stem) = word.strip_suffix('e')
        && BEFORE_E.iter().any(|ending| stem.ends_with(ending))
    {
        word.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::of([text]).0.into_iter().collect()
    }

    #[test]
    fn case_diacritics_and_apostrophes_do_not_matter() {
        let same = [
            ["Crème BRÛLÉE", "creme brulee"],
            ["Cafe\u{301}", "café"],
            ["Straße", "STRASSE"],
            ["Smørrebrød", "smorrebrod"],
            ["Łódź", "lodz"],
            ["İstanbul", "istanbul"],
            ["ΟΔΟΣ", "οδός"],
            ["Men's", "mens"],
            ["men\u{2019}s", "MENS"],
            ["ﬁlter ①", "filter 1"],
            ["שָׁלוֹם", "שלום"],
            ["커피", "\u{110f}\u{1165}\u{1111}\u{1175}"],
        ];
        for [a, b] in same {
            assert!(!words(a).is_empty());
            assert_eq!(words(a), words(b), "{a} and {b}");
        }
    }

    #[test]
    fn words_end_at_everything_that_is_no_letter_or_digit() {
        assert_eq!(words("MUG-BLUE_350.a/b"), ["350", "a", "b", "blue", "mug"]);
        assert_eq!(words("green\ttea, Green  tea!"), ["green", "tea"]);
        assert_eq!(words("350ml"), ["350ml"]);
        assert_eq!(words("日本茶 がぶ飲み"), ["が", "ぶ", "み", "日", "本", "茶", "飲"]);
        assert_eq!(words("चाय की पत्ती"), ["की", "चाय", "पत्ती"]);
        assert_eq!(words("  * % \" ' () \0 "), Vec::<String>::new());
    }

    #[test]
    fn plural_and_singular_are_one_word() {
        let pairs = [
            ("mug", "mugs"),
            ("bean", "beans"),
            ("box", "boxes"),
            ("axe", "axes"),
            ("size", "sizes"),
            ("case", "cases"),
            ("glass", "glasses"),
            ("dish", "dishes"),
            ("watch", "watches"),
            ("cookie", "cookies"),
            ("berry", "berries"),
            ("toy", "toys"),
            ("tie", "ties"),
            ("shoe", "shoes"),
            ("tomato", "tomatoes"),
            ("menu", "menus"),
        ];
        for (one, many) in pairs {
            assert_eq!(words(one), words(many), "{one}, {many}");
        }
        // Nothing else is mixed up.
        for (one, other) in [("care", "car"), ("kit", "kite"), ("organ", "organic"), ("gas", "ga"), ("glass", "glas1")]
        {
            assert_ne!(words(one), words(other), "{one}, {other}");
        }
    }

    #[test]
    fn queries_are_bounded() {
        assert_eq!(Words::of_query(&"é".repeat(100)).unwrap().terms().count(), 1);
        assert_eq!(Words::of_query(&"é".repeat(101)), Err(InvalidQuery::TooLong));
        let letters = |count: u32| (0..count).filter_map(|n| char::from_u32(0x4e00 + n)).collect::<String>();
        assert_eq!(Words::of_query(&letters(50)).unwrap().terms().count(), 50);
        assert_eq!(Words::of_query(&letters(51)), Err(InvalidQuery::TooManyWords));
        assert!(Words::of_query(" ?! ").unwrap().is_empty());
    }

    #[test]
    fn the_text_has_each_term_between_spaces() {
        assert_eq!(Words::of(["Tea for a té", "茶"]).text(), " worda wordfor wordte wordtea utf8e88cb6 ");
        assert_eq!(Words::default().text(), " ");
    }

    proptest! {
        #[test]
        fn terms_are_what_every_index_takes_whole(text: String) {
            for term in Words::of([text.as_str()]).terms() {
                prop_assert!((5..=84).contains(&term.len()), "{}", term);
                prop_assert!(term.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{}", term);
            }
        }

        #[test]
        fn a_text_is_found_by_its_own_words(text: String) {
            let all = Words::of([text.as_str()]).text();
            for part in text.split_whitespace() {
                for term in Words::of([part]).terms() {
                    let found = all.contains(&format!(" {term} "));
                    prop_assert!(found, "{} in {}", term, all);
                }
            }
        }

        #[test]
        fn upper_and_lower_case_are_one(text in "[a-zA-ZäöüÄÖÜéÉñÑçÇ ]{0,40}") {
            prop_assert_eq!(words(&text.to_uppercase()), words(&text.to_lowercase()));
        }
    }
}
