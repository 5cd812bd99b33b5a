//! Content codings of answers (RFC 9110, sections 8.4 and 12.5.3): which one a client gets, and its entity tag.
//!
//! A body that is there whole is compressed whole: it keeps its length, and the memory of the compressor is that of as many
//! answers as there are cores.

use std::{io::Write as _, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::OnceCell;

/// Below this the head outweighs what is saved: the answer is one packet either way.
const SMALLEST: usize = 1024;
/// What is compressed where the request is worked on: a millisecond or less. More than this would keep others waiting.
const INLINE: usize = 128 * 1024;
/// Levels at which time and gain are in balance for a page of JSON.
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW: u32 = 20;
const GZIP_LEVEL: u32 = 5;

/// A coding that answers may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// In the order in which they are chosen when a client has no preference: by what they cost us.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The best that the client takes; none when it takes none.
    pub(crate) fn preferred(headers: &HeaderMap) -> Option<Self> {
        let mut qualities = [None; Self::ALL.len()];
        let mut others = None;
        for line in headers.get_all(header::ACCEPT_ENCODING) {
            for member in line.to_str().unwrap_or_default().split(',') {
                let (name, quality) = weighed(member);
                if name == "*" {
                    others = Some(quality);
                } else if let Some(at) = Self::ALL.iter().position(|coding| coding.is_called(name)) {
                    qualities[at] = Some(quality);
                }
            }
        }
        let weighed = Self::ALL.into_iter().zip(qualities.map(|quality| quality.or(others).unwrap_or(0)));
        // The first of the best.
        weighed.rev().max_by_key(|(_, quality)| *quality).filter(|(_, quality)| *quality > 0).map(|(coding, _)| coding)
    }

    fn is_called(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }

    fn compress(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
            Self::Brotli => {
                let room = Vec::with_capacity(bytes.len() / 4);
                let mut writer = brotli::CompressorWriter::new(room, 4096, BROTLI_QUALITY, BROTLI_WINDOW);
                writer.write_all(bytes)?;
                Ok(writer.into_inner())
            }
            Self::Gzip => {
                let room = Vec::with_capacity(bytes.len() / 4);
                let mut writer = flate2::write::GzEncoder::new(room, flate2::Compression::new(GZIP_LEVEL));
                writer.write_all(bytes)?;
                writer.finish()
            }
        }
    }
}

/// A member of `Accept-Encoding`: the name, and its quality in thousandths.
fn weighed(member: &str) -> (&str, u16) {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality.map_or(Some(1.0), |quality| quality.parse::<f32>().ok()).unwrap_or(0.0);
    // Three decimals are all there may be, and a number from 0 to 1000 fits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
    (name, thousandths)
}

/// Whether a body of this type gains from compression, which pictures and streams of events do not.
pub(crate) fn is_text(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim_end();
    let text = essence.starts_with("text/") && essence != "text/event-stream";
    text || essence.ends_with("json") || essence.ends_with("+xml") || essence.ends_with("/javascript")
}

/// The forms of a text that does not change, each made once. An extension of the responses that have it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forms(Arc<[OnceCell<Bytes>; Coding::ALL.len()]>);

impl Forms {
    /// The form in a coding. It is made to its end, though who asked for it first may go away, and once.
    async fn get(&self, coding: Coding, bytes: &Bytes) -> Bytes {
        let at = coding as usize;
        if let Some(form) = self.0[at].get() {
            return form.clone();
        }
        let (forms, whole) = (Arc::clone(&self.0), bytes.clone());
        let made = tokio::spawn(async move {
            let make = || async { compressed(coding, &whole).await.unwrap_or_else(|| whole.clone()) };
            forms[at].get_or_init(make).await.clone()
        });
        made.await.unwrap_or_else(|_panicked| bytes.clone())
    }
}

/// The body in the coding, if that makes it smaller; the headers then say so, and the entity tag is that of this form.
pub(crate) async fn encode(coding: Coding, headers: &mut HeaderMap, bytes: Bytes, forms: Option<&Forms>) -> Bytes {
    if bytes.len() < SMALLEST || headers.contains_key(header::CONTENT_ENCODING) {
        return bytes;
    }
    let form = match forms {
        Some(forms) => Some(forms.get(coding, &bytes).await),
        None => compressed(coding, &bytes).await,
    };
    let Some(form) = form.filter(|form| form.len() < bytes.len()) else { return bytes };
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(tag) = headers.get(header::ETAG).and_then(|tag| tagged(tag, coding)) {
        headers.insert(header::ETAG, tag);
    }
    form
}

async fn compressed(coding: Coding, bytes: &Bytes) -> Option<Bytes> {
    let compressed = if bytes.len() <= INLINE {
        coding.compress(bytes)
    } else {
        let bytes = bytes.clone();
        let compressed = tokio::task::spawn_blocking(move || coding.compress(&bytes)).await;
        compressed.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)))
    };
    match compressed {
        Ok(compressed) => Some(compressed.into()),
        Err(error) => {
            tracing::error!(error = %error, "an answer can't be compressed");
            None
        }
    }
}

/// A strong tag is good for one form of a resource alone (RFC 9110, section 8.8.1): `"7"` is `"7-gzip"` compressed.
fn tagged(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opaque = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{opaque}-{}\"", coding.name())).ok()
}

/// The opaque part of a tag, without what says in which coding it was sent.
pub(crate) fn without_coding(opaque: &str) -> &str {
    let stripped = Coding::ALL.iter().find_map(|coding| opaque.strip_suffix(coding.name())?.strip_suffix('-'));
    stripped.unwrap_or(opaque)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_text_that_stays_is_compressed_once_in_each_coding() {
        let (text, forms) = (Bytes::from("a text that repeats itself ".repeat(10_000)), Forms::default());
        for coding in Coding::ALL {
            let all = join_all((0..20).map(|_| async {
                let mut headers = HeaderMap::new();
                let form = encode(coding, &mut headers, text.clone(), Some(&forms)).await;
                assert_eq!(headers[header::CONTENT_ENCODING], coding.name());
                form
            }));
            let all = all.await;
            assert!(all[0].len() < text.len() && all.iter().all(|form| form.as_ptr() == all[0].as_ptr()), "{coding:?}");
        }
    }

    fn preferred(lines: &[&'static str]) -> Option<Coding> {
        let lines = lines.iter().map(|line| (header::ACCEPT_ENCODING, HeaderValue::from_static(line)));
        Coding::preferred(&lines.collect())
    }

    #[test]
    fn the_client_chooses_and_then_we_do() {
        assert_eq!(preferred(&["gzip, deflate, br, zstd"]), Some(Coding::Zstd));
        assert_eq!(preferred(&["gzip, deflate, br"]), Some(Coding::Brotli));
        assert_eq!(preferred(&["GZip"]), Some(Coding::Gzip));
        assert_eq!(preferred(&["x-gzip"]), Some(Coding::Gzip));
        assert_eq!(preferred(&["br;q=0.5, gzip;q=0.8, zstd;q=0.1"]), Some(Coding::Gzip));
        assert_eq!(preferred(&["gzip;q=0.5", "br ; Q=0.9"]), Some(Coding::Brotli));
        assert_eq!(preferred(&["*"]), Some(Coding::Zstd));
        assert_eq!(preferred(&["*;q=0.5, br;q=0"]), Some(Coding::Zstd));
        assert_eq!(preferred(&["zstd;q=0, *"]), Some(Coding::Brotli));
    }

    #[test]
    fn who_takes_none_gets_none() {
        for lines in [&[][..], &[""], &["identity"], &["deflate, compress"], &["gzip;q=0"], &["*;q=0"], &["gzip;q=x"]] {
            assert_eq!(preferred(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn what_has_a_coding_is_the_same_version() {
        for (tag, version) in [("7", "7"), ("7-gzip", "7"), ("7-br", "7"), ("7-zstd", "7"), ("7-deflate", "7-deflate")]
        {
            assert_eq!(without_coding(tag), version);
        }
    }

    #[test]
    fn text_is_compressed_and_events_are_not() {
        let is_text = |essence: &'static str| {
            is_text(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(essence))]))
        };
        for text in ["application/json", "application/problem+json", "text/html; charset=utf-8", "image/svg+xml"] {
            assert!(is_text(text), "{text}");
        }
        for other in ["text/event-stream", "image/png", "application/octet-stream"] {
            assert!(!is_text(other), "{other}");
        }
    }
}
