//! Postal addresses.

use crate::{Text, TextError};

/// Where a parcel goes. The country is an ISO 3166-1 alpha-2 code; whether the rest exists there is the carrier's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostalAddress {
    recipient: Text<200>,
    line1: Text<200>,
    line2: Option<Text<200>>,
    city: Text<100>,
    region: Option<Text<100>>,
    postal_code: Text<20>,
    country: String,
}

/// One field that keeps an address from being valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {detail}")]
pub struct AddressError {
    /// The field's name, as in JSON.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// The fields of an address before they are checked; empty `line2` and `region` mean none.
#[derive(Debug, Clone, Default)]
pub struct RawAddress<'a> {
    /// Who receives.
    pub recipient: &'a str,
    /// Street and number.
    pub line1: &'a str,
    /// Flat, floor, care of.
    pub line2: &'a str,
    /// City or town.
    pub city: &'a str,
    /// State, province or county.
    pub region: &'a str,
    /// Post or ZIP code.
    pub postal_code: &'a str,
    /// ISO 3166-1 alpha-2.
    pub country: &'a str,
}

impl PostalAddress {
    /// Checks every field and reports all that are wrong.
    pub fn parse(raw: &RawAddress<'_>) -> Result<Self, Vec<AddressError>> {
        let mut errors = Vec::new();
        let recipient = required(&mut errors, "recipient", raw.recipient);
        let line1 = required(&mut errors, "line1", raw.line1);
        let line2 = optional(&mut errors, "line2", raw.line2);
        let city = required(&mut errors, "city", raw.city);
        let region = optional(&mut errors, "region", raw.region);
        let postal_code = required(&mut errors, "postal_code", raw.postal_code);
        let country = raw.country.to_owned();
        if !COUNTRIES.split(' ').any(|known| known == country) {
            let detail = "must be an ISO 3166-1 alpha-2 code, such as DE".to_owned();
            errors.push(AddressError { field: "country", detail });
        }
        match (recipient, line1, city, postal_code) {
            (Some(recipient), Some(line1), Some(city), Some(postal_code)) if errors.is_empty() => {
                Ok(Self { recipient, line1, line2, city, region, postal_code, country })
            }
            _ => Err(errors),
        }
    }

    /// Who receives.
    pub fn recipient(&self) -> &str {
        self.recipient.as_str()
    }

    /// Street and number.
    pub fn line1(&self) -> &str {
        self.line1.as_str()
    }

    /// Flat, floor, care of.
    pub fn line2(&self) -> Option<&str> {
        self.line2.as_ref().map(Text::as_str)
    }

    /// City or town.
    pub fn city(&self) -> &str {
        self.city.as_str()
    }

    /// State, province or county.
    pub fn region(&self) -> Option<&str> {
        self.region.as_ref().map(Text::as_str)
    }

    /// Post or ZIP code.
    pub fn postal_code(&self) -> &str {
        self.postal_code.as_str()
    }

    /// ISO 3166-1 alpha-2 code.
    pub fn country(&self) -> &str {
        &self.country
    }
}

fn required<const MAX: usize>(errors: &mut Vec<AddressError>, field: &'static str, raw: &str) -> Option<Text<MAX>> {
    Text::parse(raw).map_err(|error| errors.push(AddressError { field, detail: error.to_string() })).ok()
}

fn optional<const MAX: usize>(errors: &mut Vec<AddressError>, field: &'static str, raw: &str) -> Option<Text<MAX>> {
    match Text::parse(raw) {
        Ok(text) => Some(text),
        Err(TextError::Empty) => None,
        Err(error) => {
            errors.push(AddressError { field, detail: error.to_string() });
            None
        }
    }
}

/// Officially assigned ISO 3166-1 alpha-2 codes. Sorted.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA \
RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT \
TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> RawAddress<'static> {
        RawAddress {
            recipient: " Ada Lovelace ",
            line1: "Unter den Linden 1",
            city: "Berlin",
            postal_code: "10117",
            country: "DE",
            ..RawAddress::default()
        }
    }

    #[test]
    fn a_complete_address_is_kept_trimmed() {
        let address = PostalAddress::parse(&berlin()).unwrap();
        assert_eq!(address.recipient(), "Ada Lovelace");
        assert_eq!((address.line2(), address.region(), address.country()), (None, None, "DE"));
    }

    #[test]
    fn every_wrong_field_is_reported_at_once() {
        let long = "x".repeat(201);
        let raw = RawAddress { recipient: "", line2: &long, country: "Germany", ..berlin() };
        let errors = PostalAddress::parse(&raw).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["recipient", "line2", "country"]);
    }

    #[test]
    fn there_are_249_countries() {
        let countries: Vec<_> = COUNTRIES.split(' ').collect();
        assert_eq!(countries.len(), 249);
        assert!(countries.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
