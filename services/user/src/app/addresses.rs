//! One's own addresses.

use shop_storage::{
    Database,
    page::{self, CursorKey},
};
use shop_types::{RawAddress, Uuid, new_id};

use super::{Error, Page};
use crate::{
    domain::{Address, AddressChange, Invalid, MAX_ADDRESSES},
    store::{addresses, users},
};

/// The use cases of an address; all of them for one owner.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) database: Database,
    pub(crate) cursors: CursorKey,
}

impl Addresses {
    /// The owner's addresses, newest first.
    pub(crate) async fn list(&self, owner: Uuid, limit: i32, cursor: &str) -> Result<Page<Address>, Error> {
        let limit = page::limit(limit).map_err(|error| Invalid::field("limit", error.to_string()))?;
        let scope = format!("addresses of {owner}");
        let after: Option<Uuid> = if cursor.is_empty() { None } else { Some(self.cursors.open(&scope, cursor)?) };
        // One more than asked for tells whether there is a next page.
        let mut items = addresses::list(self.database.reader(), owner, after, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|address| self.cursors.seal(&scope, &address.id));
        Ok(Page { items, next_cursor })
    }

    pub(crate) async fn create(&self, owner: Uuid, label: &str, raw: &RawAddress<'_>) -> Result<Address, Error> {
        let address = Address::parse(new_id(), label, raw)?;
        self.database
            .write(move |transaction| {
                let address = address.clone();
                Box::pin(async move {
                    // The account may have been deleted by a call that ran beside this one. Its lock makes the count hold.
                    users::find_to_change(transaction, owner).await?.ok_or(Error::UnknownUser)?;
                    if addresses::count(transaction, owner).await? >= MAX_ADDRESSES {
                        return Err(Error::TooManyAddresses);
                    }
                    addresses::insert(transaction, owner, &address).await?;
                    Ok(address)
                })
            })
            .await
    }

    pub(crate) async fn update(&self, owner: Uuid, id: Uuid, change: AddressChange) -> Result<Address, Error> {
        self.database
            .write(move |transaction| {
                let change = change.clone();
                Box::pin(async move {
                    let present =
                        addresses::find_to_change(transaction, owner, id).await?.ok_or(Error::UnknownAddress)?;
                    let changed = present.changed(&change)?;
                    if changed != present {
                        addresses::update(transaction, owner, &changed).await?;
                    }
                    Ok(changed)
                })
            })
            .await
    }

    pub(crate) async fn delete(&self, owner: Uuid, id: Uuid) -> Result<(), Error> {
        self.database
            .write(move |transaction| {
                Box::pin(async move {
                    let deleted = addresses::delete(transaction, owner, id).await?;
                    if deleted { Ok(()) } else { Err(Error::UnknownAddress) }
                })
            })
            .await
    }
}
