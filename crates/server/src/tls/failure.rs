//! Why a handshake failed, in the words of whoever has to mend it.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct HandshakeError {
    pub(super) failure: Failure,
    /// What rustls or the system said.
    source: io::Error,
}

impl HandshakeError {
    /// Reads an error of a TLS stream: TLS 1.3 lets a client find out with its first read only that the server did not
    /// take its certificate. `None` if it is no matter of TLS.
    pub fn of(error: io::Error) -> Result<Self, io::Error> {
        match error.get_ref().and_then(|inner| inner.downcast_ref()).map(Failure::of) {
            Some(failure) => Ok(Self { failure, source: error }),
            None => Err(error),
        }
    }

    /// For an error in the handshake itself.
    pub(super) fn in_handshake(error: io::Error) -> Self {
        Self::of(error).unwrap_or_else(|source| Self { failure: Failure::Broken, source })
    }

    pub(super) fn timed_out() -> Self {
        Self { failure: Failure::TimedOut, source: io::ErrorKind::TimedOut.into() }
    }

    /// For the label of a metric.
    pub(super) fn reason(&self) -> &'static str {
        match self.failure {
            Failure::NotTls => "not_tls",
            Failure::NoCertificate => "no_certificate",
            Failure::Certificate(refusal) => refusal.as_str(),
            Failure::Refused(_) => "refused_by_peer",
            Failure::TimedOut => "timed_out",
            Failure::Broken => "broken",
            Failure::Other => "other",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    NotTls,
    NoCertificate,
    /// We refuse the peer's certificate.
    Certificate(Refusal),
    /// The peer refuses ours, or us.
    Refused(Option<Refusal>),
    TimedOut,
    /// The connection broke off.
    Broken,
    Other,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownCa,
    WrongName,
    Expired,
    NotYetValid,
    Other,
}

impl Refusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCa => "unknown_ca",
            Self::WrongName => "wrong_name",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Other => "bad_certificate",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCa => "is not of a CA that is trusted (SHOP_TLS_CA_FILE)",
            Self::WrongName => "is for another service",
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::Other => "can't be used",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("the peer does not speak TLS: it has no certificate set (SHOP_TLS_CERT_FILE)"),
            Self::NoCertificate => f.write_str("the peer showed no certificate"),
            Self::Certificate(refusal) => write!(f, "the peer's certificate {refusal}"),
            Self::Refused(Some(refusal)) => write!(f, "the peer says that our certificate {refusal}"),
            Self::Refused(None) => f.write_str("the peer refused us"),
            Self::TimedOut => f.write_str("the TLS handshake took too long"),
            Self::Broken => f.write_str("the connection broke off during the TLS handshake"),
            Self::Other => f.write_str("the TLS handshake failed"),
        }
    }
}

impl Failure {
    fn of(error: &rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::NotTls
            }
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::Certificate(judge(error)),
            Error::AlertReceived(alert) => Self::Refused(heard(*alert)),
            _ => Self::Other,
        }
    }
}

fn judge(error: &CertificateError) -> Refusal {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    match error {
        UnknownIssuer | CertificateError::BadSignature => Refusal::UnknownCa,
        NotValidForName | NotValidForNameContext { .. } => Refusal::WrongName,
        Expired | ExpiredContext { .. } => Refusal::Expired,
        NotValidYet | NotValidYetContext { .. } => Refusal::NotYetValid,
        _ => Refusal::Other,
    }
}

/// What an alert says of our certificate.
fn heard(alert: AlertDescription) -> Option<Refusal> {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::DecryptError => Some(Refusal::UnknownCa),
        AlertDescription::CertificateExpired => Some(Refusal::Expired),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked => Some(Refusal::Other),
        _ => None,
    }
}
