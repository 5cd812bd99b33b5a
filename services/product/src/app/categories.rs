//! Categories: listing, finding, making, changing and removing them.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use shop_storage::{
    Database,
    page::{self, CursorKey},
};
use shop_types::{Uuid, new_id};

use super::Error;
use crate::{
    domain::{Category, CategoryChange, Invalid, Key, Misplaced, NewCategory, Tree},
    store::categories,
};

/// What cursors of the listing are bound to; it has no filters.
const SCOPE: &str = "categories";

/// The use cases of categories.
///
/// Whatever changes the shape of the tree locks the tree first and reads it then, so that of changes at once the second
/// sees the first: two moves that are harmless each can't make a circle together.
#[derive(Debug, Clone)]
pub(crate) struct Categories {
    database: Database,
    cursors: CursorKey,
}

impl Categories {
    pub(crate) fn new(database: Database, cursors: CursorKey) -> Self {
        Self { database, cursors }
    }

    /// A page by name, and the cursor of the next one.
    pub(crate) async fn list(&self, limit: i32, cursor: &str) -> Result<(Vec<Category>, Option<String>), Error> {
        let limit = page::limit(limit).map_err(|error| Invalid::field("limit", error.to_string()))?;
        let after: Option<(String, Uuid)> =
            if cursor.is_empty() { None } else { Some(self.cursors.open(SCOPE, cursor)?) };
        // One more than asked for tells whether there is a next page.
        let mut found = categories::list(self.database.reader(), after.as_ref(), limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_cursor = last.map(|category| self.cursors.seal(SCOPE, &(category.sort_name(), category.id)));
        Ok((found, next_cursor))
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Category, Error> {
        categories::find(self.database.reader(), key).await?.ok_or(Error::UnknownCategory)
    }

    pub(crate) async fn create(&self, category: NewCategory) -> Result<Category, Error> {
        let category = Arc::new(category.into_category(new_id()));
        self.database
            .write(move |transaction| {
                let category = Arc::clone(&category);
                Box::pin(async move {
                    insert(transaction, &category).await?;
                    Ok(Category::clone(&category))
                })
            })
            .await
    }

    /// Without an expected version, whatever it is now is changed.
    pub(crate) async fn update(
        &self,
        id: Uuid,
        expected: Option<i64>,
        change: CategoryChange,
    ) -> Result<Category, Error> {
        self.database
            .write(move |transaction| {
                let change = change.clone();
                Box::pin(async move {
                    if change.moves() {
                        categories::lock_tree(transaction).await?;
                    }
                    let present = categories::find_locked(transaction, id).await?.ok_or(Error::UnknownCategory)?;
                    expect(&present, expected)?;
                    let next = change.apply(&present);
                    if next == present {
                        return Ok(next);
                    }
                    if next.parent_id != present.parent_id {
                        place(&Tree::new(categories::links(transaction).await?), &next)?;
                    }
                    if !categories::update(transaction, &next).await? {
                        return Err(Error::CategorySlugTaken);
                    }
                    Ok(next)
                })
            })
            .await
    }

    pub(crate) async fn delete(&self, id: Uuid, expected: Option<i64>) -> Result<(), Error> {
        self.database
            .write(move |transaction| {
                Box::pin(async move {
                    categories::lock_tree(transaction).await?;
                    let present = categories::find_locked(transaction, id).await?.ok_or(Error::UnknownCategory)?;
                    expect(&present, expected)?;
                    if categories::delete(transaction, id).await? { Ok(()) } else { Err(Error::CategoryNotEmpty) }
                })
            })
            .await
    }
}

/// Adds a category where there is room for it.
pub(super) async fn insert(connection: &impl ConnectionTrait, category: &Category) -> Result<(), Error> {
    categories::lock_tree(connection).await?;
    let tree = Tree::new(categories::links(connection).await?);
    if tree.is_full() {
        return Err(Error::TooManyCategories);
    }
    place(&tree, category)?;
    if categories::insert(connection, category).await? { Ok(()) } else { Err(Error::CategorySlugTaken) }
}

fn expect(present: &Category, expected: Option<i64>) -> Result<(), Error> {
    match expected {
        Some(version) if version != present.version => Err(Error::StaleVersion { present: present.version }),
        _ => Ok(()),
    }
}

fn place(tree: &Tree, category: &Category) -> Result<(), Error> {
    let refused = |misplaced: Misplaced| Invalid::field("/parent_id", misplaced.to_string());
    Ok(tree.place(category.id, category.parent_id).map_err(refused)?)
}
