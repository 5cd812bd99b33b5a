//! What can keep the service from doing what it was asked.

use shop_storage::{StorageError, WriteError, page};
use shop_types::{Money, Uuid};

use super::upstream::CallError;
use crate::{
    domain::{Invalid, InvalidNotice, InvalidSignature, Order, Outcome, Step, Violation, WrongState},
    store::revise::NotRevised,
};

/// An order that could not be had: settled, and an error to whoever placed it.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) order: Order,
    /// The lines that could not be had, by their place in the request.
    pub(crate) violations: Vec<Violation>,
    /// Whether the key had been used before.
    pub(crate) replayed: bool,
}

/// Why a use case has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request breaks rules.
    #[error(transparent)]
    Invalid(Invalid),
    /// A signed notice that is not the JSON it should be.
    #[error("the notice can't be read: {0}")]
    MalformedNotice(String),
    #[error("the notice is longer than {max} bytes")]
    NoticeTooLarge {
        /// The bound.
        max: usize,
    },
    #[error(transparent)]
    InvalidSignature(InvalidSignature),
    #[error(transparent)]
    InvalidCursor(page::InvalidCursor),
    /// Nobody is signed in where somebody must be.
    #[error("the caller is no user")]
    NoUser,
    /// Not there, or another's.
    #[error("there is no such order")]
    UnknownOrder,
    /// The table of states has no such way.
    #[error(transparent)]
    WrongState(WrongState),
    #[error("the order was rejected")]
    Rejected(Box<Rejection>),
    /// Known before there was an order.
    #[error("the user may not order")]
    UserNotAllowed,
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Another request with the same key was faster.
    #[error("the idempotency key is taken")]
    KeyTaken,
    #[error("the reference was used for another amount or order")]
    ReferenceReused,
    #[error("the refund is not what is to be given back")]
    AmountMismatch {
        /// What could be given back.
        expected: Money,
    },
    /// Zero, where something is to be paid.
    #[error("the payment is of nothing")]
    NothingPaid,
    /// What is owed back can't be counted in 64 bits.
    #[error("what is owed back is too large")]
    DueTooLarge,
    /// The saga has not come as far as the request needs before its deadline.
    #[error("the order {order_id} is not settled yet")]
    Pending { order_id: Uuid },
    /// The other service does not answer.
    #[error("a service that is needed does not answer")]
    Upstream(#[source] CallError),
    /// Another change was faster, again and again.
    #[error("the order changes too fast")]
    Raced,
    /// As many of something go on as may.
    #[error("too many {0}")]
    Overloaded(&'static str),
    /// The process is leaving.
    #[error("the process is leaving")]
    Leaving,
    /// [`crate::domain::PLAN`] lacks a row: a bug.
    #[error("the plan of the saga has no outcome {outcome:?} of {step}")]
    Unplanned { step: Step, outcome: Outcome },
    /// A row that must be there is not: a bug, or a damaged database.
    #[error("the {0} is missing")]
    Missing(&'static str),
    #[error("the store failed")]
    Storage(#[source] StorageError),
}

impl Error {
    /// Whether trying again later is all there is to do.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_transient(),
            Self::Storage(error) => error.is_transient(),
            Self::KeyTaken | Self::Raced | Self::Leaving => true,
            _ => false,
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl WriteError for Error {
    fn storage(&self) -> Option<&StorageError> {
        if let Self::Storage(error) = self { Some(error) } else { None }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<InvalidNotice> for Error {
    fn from(error: InvalidNotice) -> Self {
        match error {
            InvalidNotice::Malformed(detail) => Self::MalformedNotice(detail),
            InvalidNotice::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}

impl From<InvalidSignature> for Error {
    fn from(error: InvalidSignature) -> Self {
        Self::InvalidSignature(error)
    }
}

impl From<page::InvalidCursor> for Error {
    fn from(error: page::InvalidCursor) -> Self {
        Self::InvalidCursor(error)
    }
}

impl From<WrongState> for Error {
    fn from(error: WrongState) -> Self {
        Self::WrongState(error)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Upstream(error)
    }
}

impl From<NotRevised> for Error {
    fn from(error: NotRevised) -> Self {
        match error {
            NotRevised::WrongState(refused) => Self::WrongState(refused),
            // Who writes under a guard looks at this itself; for the others there is none.
            NotRevised::Raced | NotRevised::Guarded => Self::Raced,
            NotRevised::Storage(error) => Self::Storage(error),
        }
    }
}
