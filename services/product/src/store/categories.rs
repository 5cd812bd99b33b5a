//! Categories and the shape of their tree.

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::NotSet, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use shop_storage::{StorageError, insert_new};
use shop_types::Uuid;

use super::entity::{category, category_tree, product};
use crate::domain::{Category, Key};

/// The row that stands for the tree; a migration made it.
const TREE: i32 = 1;

impl From<category::Model> for Category {
    fn from(row: category::Model) -> Self {
        Self { id: row.id, slug: row.slug, name: row.name, parent_id: row.parent_id, version: row.version }
    }
}

impl From<&Category> for category::Model {
    fn from(category: &Category) -> Self {
        Self {
            id: category.id,
            slug: category.slug.clone(),
            name: category.name.clone(),
            sort_name: category.sort_name(),
            parent_id: category.parent_id,
            version: category.version,
        }
    }
}

/// Keeps everyone else from changing the shape of the tree until the transaction ends. Read the tree afterwards: what is
/// read is then what the one before left. Comes before the lock of any category.
pub(crate) async fn lock_tree(connection: &impl ConnectionTrait) -> Result<(), StorageError> {
    let tree = category_tree::Entity::find_by_id(TREE).lock_exclusive().one(connection).await?;
    tree.map(drop).ok_or_else(|| DbErr::RecordNotFound("the row of the tree of categories".to_owned()).into())
}

/// Every category with the one above it.
pub(crate) async fn links(connection: &impl ConnectionTrait) -> Result<Vec<(Uuid, Option<Uuid>)>, StorageError> {
    let links = category::Entity::find()
        .select_only()
        .columns([category::Column::Id, category::Column::ParentId])
        .into_tuple()
        .all(connection)
        .await?;
    Ok(links)
}

pub(crate) async fn find(connection: &impl ConnectionTrait, key: &Key) -> Result<Option<Category>, StorageError> {
    let query = match key {
        Key::Id(id) => category::Entity::find_by_id(*id),
        Key::Slug(slug) => category::Entity::find().filter(category::Column::Slug.eq(slug.as_str())),
    };
    Ok(query.one(connection).await?.map(Category::from))
}

/// The category, locked until the transaction ends where rows have locks.
pub(crate) async fn find_locked(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Category>, StorageError> {
    Ok(category::Entity::find_by_id(id).lock_exclusive().one(connection).await?.map(Category::from))
}

/// Adds a category; false when its slug is taken.
pub(crate) async fn insert(connection: &impl ConnectionTrait, category: &Category) -> Result<bool, StorageError> {
    let row = category::Model::from(category).into_active_model();
    insert_new(connection, category::Entity::insert(row)).await
}

/// Stores the next version of a category that was locked; false when its slug is taken, and then the transaction is to be
/// given up.
pub(crate) async fn update(connection: &impl ConnectionTrait, category: &Category) -> Result<bool, StorageError> {
    let mut row = category::Model::from(category).into_active_model().reset_all();
    row.id = NotSet;
    let updated = category::Entity::update_many()
        .set(row)
        .filter(category::Column::Id.eq(category.id))
        .filter(category::Column::Version.eq(category.version - 1))
        .exec(connection)
        .await
        .map_err(StorageError::from);
    match updated {
        Ok(updated) if updated.rows_affected == 1 => Ok(true),
        Ok(_) => Err(DbErr::RecordNotUpdated.into()),
        Err(error) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a category that was locked; false while another is below it or a product in it.
pub(crate) async fn delete(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool, StorageError> {
    let below = category::Entity::find()
        .select_only()
        .column(category::Column::Id)
        .filter(category::Column::ParentId.eq(id))
        .into_tuple::<Uuid>()
        .one(connection)
        .await?;
    let inside = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .filter(product::Column::CategoryId.eq(id))
        .into_tuple::<Uuid>()
        .one(connection)
        .await?;
    if below.is_some() || inside.is_some() {
        return Ok(false);
    }
    category::Entity::delete_by_id(id).exec(connection).await?;
    Ok(true)
}

/// At most `limit` categories by name, after a name and id.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    after: Option<&(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Category>, StorageError> {
    use category::Column::{Id, SortName};
    let mut query = category::Entity::find().order_by_asc(SortName).order_by_asc(Id).limit(limit);
    if let Some((name, id)) = after {
        // What the second comparison implies is what an index can be searched by.
        let beyond = Condition::any().add(SortName.gt(name)).add(Id.gt(*id));
        query = query.filter(SortName.gte(name)).filter(beyond);
    }
    Ok(query.all(connection).await?.into_iter().map(Category::from).collect())
}
