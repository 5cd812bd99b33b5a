//! ISO 4217 currencies.

use std::{fmt, str::FromStr};

/// An alphabetic ISO 4217 code, `USD` for example.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// The text is no active ISO 4217 code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an active ISO 4217 currency code, such as USD")]
pub struct UnknownCurrency;

/// Active codes of ISO 4217:2015 (amendment 176), without funds, precious metals and test codes. Sorted, each with
/// a space after it.
const CODES: &[u8] =
    b"AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD \
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL \
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA \
MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB \
RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU \
UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG ";

impl Currency {
    /// Every code there is, in order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        let (codes, _) = CODES.as_chunks::<4>();
        codes.iter().filter_map(|[code @ .., _]| std::str::from_utf8(code).ok())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        let (codes, _) = CODES.as_chunks::<4>();
        let known = codes.binary_search_by(|[known @ .., _]| known.cmp(&bytes));
        known.map(|_| Self(bytes)).map_err(|_| UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_active_codes_are_currencies() {
        assert_eq!("EUR".parse::<Currency>().unwrap().as_str(), "EUR");
        for wrong in ["", "eur", "XXX", "EURO", "E R", "ÄB"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_without_repeats() {
        let (codes, rest) = CODES.as_chunks::<4>();
        assert!(codes.is_sorted_by(|before, after| before < after) && rest.is_empty());
        assert!(codes.iter().all(|[code @ .., space]| code.is_ascii() && *space == b' '));
        for code in Currency::codes() {
            assert_eq!(code.parse::<Currency>().unwrap().as_str(), code);
        }
        assert_eq!(Currency::codes().count(), codes.len());
    }
}
