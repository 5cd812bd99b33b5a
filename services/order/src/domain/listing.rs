//! Who may see which orders, and which of them a listing has.

use shop_types::Uuid;

use super::{Actor, Reason, Status};

/// A signed-in user who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Viewer {
    pub(crate) user_id: Uuid,
    /// Role staff or admin.
    pub(crate) is_staff: bool,
}

impl Viewer {
    /// Whose orders the viewer may see; `None` is everybody's.
    pub(crate) fn owner(self) -> Option<Uuid> {
        (!self.is_staff).then_some(self.user_id)
    }

    pub(crate) fn actor(self) -> Actor {
        Actor::User(self.user_id)
    }

    /// What an order is cancelled for when this viewer does it. Staff that cancel an order of their own are its customer.
    pub(crate) fn cancel_reason(self, owner: Uuid) -> Reason {
        if self.user_id == owner { Reason::CancelledByCustomer } else { Reason::CancelledByStaff }
    }
}

/// Which orders a listing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter {
    /// `None` is everybody's.
    pub(crate) owner: Option<Uuid>,
    pub(crate) status: Option<Status>,
    /// Only orders with, or without, money to give back.
    pub(crate) refund_due: Option<bool>,
}

impl Filter {
    /// What a cursor of this listing is bound to. `viewer` is in it, so that nobody can use another's.
    pub(crate) fn scope(&self, viewer: Viewer) -> String {
        let Self { owner, status, refund_due } = self;
        format!("orders of={owner:?} status={status:?} refund_due={refund_due:?} for={}", viewer.user_id)
    }
}
