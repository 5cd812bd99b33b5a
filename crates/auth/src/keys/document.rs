//! The same keys as documents rather than files, for whoever keeps them elsewhere: in Secrets of a cluster.

use std::path::Path;

use shop_types::Instant;

use super::{KeyError, PUBLISH_LEAD, Rotation, bundle::PublicKeys, check_issuer, retirement, signing::SigningKeys};

/// What errors call a document.
const NAME: &str = "the document";

/// The private keys of one issuer: the content of its file.
#[derive(Debug)]
pub struct SigningDocument {
    issuer: String,
    keys: SigningKeys,
}

impl SigningDocument {
    /// A first key, which signs at once: nobody can have read an older bundle that had this issuer.
    pub fn generate(issuer: &str, now: Instant) -> Result<Self, KeyError> {
        check_issuer(issuer)?;
        let mut keys = SigningKeys::empty(issuer);
        keys.generate(now, now)?;
        Ok(Self { issuer: issuer.to_owned(), keys })
    }

    /// Reads the content of an issuer's file; another's is refused.
    pub fn parse(issuer: &str, content: &str) -> Result<Self, KeyError> {
        Ok(Self { issuer: issuer.to_owned(), keys: SigningKeys::parse_for(Path::new(NAME), content, issuer)? })
    }

    /// The content of the file. It is private.
    pub fn to_json(&self) -> String {
        self.keys.to_json()
    }

    /// Takes the next step of a rotation, as [`super::rotate`] does. The bundle with the new key has to be published
    /// before this document is put to use.
    pub fn rotate(&mut self, now: Instant) -> Result<Rotation, KeyError> {
        self.keys.forget_retired(now);
        if let Some(waiting) = self.keys.waiting(now) {
            return Ok(waiting);
        }
        let rotation = self.keys.generate(now, now.plus(PUBLISH_LEAD))?;
        self.keys.retire_others(&rotation.kid, retirement(&rotation));
        Ok(rotation)
    }

    /// Forgets what is retired by now; whether anything was.
    pub fn forget_retired(&mut self, now: Instant) -> bool {
        self.keys.forget_retired(now)
    }
}

/// The bundle of the public halves: the content of its file.
pub fn bundle_of<'a>(documents: impl IntoIterator<Item = &'a SigningDocument>) -> String {
    let mut public = PublicKeys::default();
    for document in documents {
        public.replace(&document.issuer, document.keys.public());
    }
    public.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_read_rotated_and_published() {
        let now = Instant::now();
        let user = SigningDocument::generate("user", now).unwrap();
        let mut order = SigningDocument::generate("order", now).unwrap();
        assert!(SigningDocument::parse("order", &user.to_json()).is_err(), "it is another's");
        assert!(SigningDocument::parse("user", "{}").is_err());
        assert!(SigningDocument::generate("../user", now).is_err());

        let first = bundle_of([&user, &order]);
        assert_eq!(first.matches("\"kid\"").count(), 2);
        assert!(!first.contains("\"d\""), "{first}");

        let rotation = order.rotate(now).unwrap();
        assert_eq!(rotation.sign_from, now.plus(PUBLISH_LEAD));
        assert_eq!(order.rotate(now).unwrap(), rotation, "one waits already");
        let again = SigningDocument::parse("order", &order.to_json()).unwrap();
        assert_eq!(bundle_of([&user, &again]).matches("\"kid\"").count(), 3);

        let end = retirement(&rotation);
        assert!(!order.forget_retired(now));
        assert!(order.forget_retired(end));
        assert_eq!(bundle_of([&user, &order]).matches("\"kid\"").count(), 2);
    }
}
