//! A page of products: the queries behind every filter and order.
//!
//! Each order has an index by status, and a page is found by walking it from where the last page ended. Filters that keep
//! many products are cheap that way and those that keep few are not, while an index of a filter is the other way round.
//! Which is which no statistics need to guess: first only a window of the order is walked, and if that does not fill the
//! page, the filter's own index is asked for all it has, which is then sorted. Neither reads the whole catalogue: the walk
//! is bounded by its window, the other by what the filter keeps.
//!
//! A statement is to use the one index that it was written for. What must not be taken for a condition on another index
//! is therefore hidden in an expression ([`hidden`]) that no engine looks through.

use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, FromQueryResult, Order,
    QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _, Select, Value,
    sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement, SimpleExpr},
};
use shop_storage::StorageError;
use shop_types::Uuid;

use super::{
    entity::{product, stock},
    products::buyable,
};
use crate::domain::{Availability, Filter, Position, Product, ProductStatus, Sort, SortKey, Words};

/// Products that are looked at for each row of a page before the filter's index is asked. A filter that keeps more than
/// one in so many fills a page from the window; of a hundred thousand products, others keep at most some four thousand,
/// which are sorted in milliseconds.
const WINDOW: u64 = 25;

/// What the column is called that availability comes in.
const AVAILABLE: &str = "listed_available";
/// What the edge's sort key is called.
const SORT_KEY: &str = "sort_key";

/// A page that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) filter: &'a Filter,
    /// The filter's category with all below it.
    pub(crate) categories: Option<&'a [Uuid]>,
    pub(crate) sort: Sort,
    pub(crate) after: Option<&'a Position>,
    pub(crate) limit: u64,
    pub(crate) with_availability: bool,
}

/// The filter whose index finds what a window did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    Words,
    Categories,
    OutOfStock,
    Price,
    InStock,
}

/// A product of a page, and what can be bought of it when that was asked for.
type Listed = (Product, Option<Availability>);

/// At most `limit` products after a position.
pub(crate) async fn list(connection: &impl ConnectionTrait, listing: Listing<'_>) -> Result<Vec<Listed>, StorageError> {
    let backend = connection.get_database_backend();
    if listing.is_void() {
        return Ok(Vec::new());
    }
    let Some(lead) = listing.lead() else { return listing.fetch(connection, listing.walk(backend, None)).await };
    let edge = listing.edge(connection).await?;
    let found = listing.fetch(connection, listing.walk(backend, edge.as_ref())).await?;
    let is_full = u64::try_from(found.len()).is_ok_and(|found| found == listing.limit);
    // Without an edge the window was all that was left.
    if is_full || edge.is_none() {
        return Ok(found);
    }
    listing.fetch(connection, listing.search(backend, lead)).await
}

impl Listing<'_> {
    /// Whether nothing can be in it.
    fn is_void(&self) -> bool {
        let nothing_archived_is_in_stock =
            self.filter.status() == ProductStatus::Archived && self.filter.in_stock() == Some(true);
        nothing_archived_is_in_stock || self.categories.is_some_and(<[_]>::is_empty)
    }

    fn in_stock(&self) -> Option<bool> {
        match self.filter.status() {
            ProductStatus::Active => self.filter.in_stock(),
            // See `is_void`: it can only have been asked for what is not in stock, and that is all of it.
            ProductStatus::Archived => None,
        }
    }

    /// Whether the order's own index knows the price.
    fn is_by_price(&self) -> bool {
        matches!(self.sort, Sort::PriceAscending | Sort::PriceDescending)
    }

    /// The filter that is likely to keep the fewest products, of those that the order's own index does not know.
    fn lead(&self) -> Option<Lead> {
        let bounded = self.filter.min_price().is_some() || self.filter.max_price().is_some();
        if !self.filter.words().is_empty() {
            Some(Lead::Words)
        } else if self.categories.is_some() {
            Some(Lead::Categories)
        } else if self.in_stock() == Some(false) {
            Some(Lead::OutOfStock)
        } else if bounded && !self.is_by_price() {
            Some(Lead::Price)
        } else if self.in_stock() == Some(true) {
            Some(Lead::InStock)
        } else {
            None
        }
    }

    fn order(&self) -> (product::Column, Order) {
        match self.sort {
            Sort::Newest => (product::Column::CreatedAt, Order::Desc),
            Sort::PriceAscending => (product::Column::PriceAmount, Order::Asc),
            Sort::PriceDescending => (product::Column::PriceAmount, Order::Desc),
            Sort::Name => (product::Column::SortName, Order::Asc),
        }
    }

    /// Where the window ends: the position of its last product, none when less than a window is left.
    async fn edge(&self, connection: &impl ConnectionTrait) -> Result<Option<Position>, StorageError> {
        let Some(row) = connection.query_one(&self.edge_query()).await? else { return Ok(None) };
        let key = match self.sort {
            Sort::Newest | Sort::PriceAscending | Sort::PriceDescending => SortKey::Number(row.try_get("", SORT_KEY)?),
            Sort::Name => SortKey::Text(row.try_get("", SORT_KEY)?),
        };
        Ok(Some(Position { key, id: row.try_get("", "id")? }))
    }

    fn edge_query(&self) -> SelectStatement {
        let (column, order) = self.order();
        let query = product::Entity::find()
            .select_only()
            .column_as(column, SORT_KEY)
            .column(product::Column::Id)
            .filter(self.is_of_status(plain));
        let query = sorted(self.bounded(query, None), plain, column, order);
        query.limit(1).offset(self.limit * WINDOW - 1).into_query()
    }

    /// The products in order from the position to an edge, as far as the filters let them pass.
    fn walk(&self, backend: DbBackend, edge: Option<&Position>) -> Select<product::Entity> {
        let (column, order) = self.order();
        let mut query = self.bounded(product::Entity::find().filter(self.is_of_status(plain)), edge);
        if !self.is_by_price() {
            query = self.priced(query, hidden);
        }
        for term in self.filter.words().terms() {
            query = query.filter(has_term(backend, &term));
        }
        if let Some(categories) = self.categories {
            query = query.filter(is_among(hidden(product::Column::CategoryId), categories));
        }
        if let Some(in_stock) = self.in_stock() {
            query = query.filter(is_in_stock(in_stock));
        }
        sorted(query, plain, column, order).limit(self.limit)
    }

    /// All that the leading filter keeps, as far as the others let it pass, sorted.
    fn search(&self, backend: DbBackend, lead: Lead) -> Select<product::Entity> {
        let (column, order) = self.order();
        // The indices of categories and prices begin with or go on with the status. PostgreSQL takes what is hidden for
        // rare: then it would rather look for the status in all products than for each that the stock's index finds.
        let status = match lead {
            Lead::Categories | Lead::Price => plain,
            Lead::InStock | Lead::OutOfStock if backend == DbBackend::Postgres => plain,
            _ => hidden,
        };
        let mut query = product::Entity::find().filter(self.is_of_status(status));
        query = self.priced(query, if lead == Lead::Price { plain } else { hidden });
        if lead == Lead::Words {
            query = query.filter(matches(backend, self.filter.words()));
        }
        if let Some(categories) = self.categories {
            let category = if lead == Lead::Categories { plain } else { hidden };
            query = query.filter(is_among(category(product::Column::CategoryId), categories));
        }
        query = match (self.in_stock(), lead) {
            (None, _) => query,
            (Some(in_stock), Lead::OutOfStock | Lead::InStock) => query.filter(is_in_stock_by_index(in_stock)),
            (Some(in_stock), _) => query.filter(is_in_stock(in_stock)),
        };
        if let Some(position) = self.after {
            query = query.filter(is_beyond(column, &order, position));
        }
        sorted(query, hidden, column, order).limit(self.limit)
    }

    fn is_of_status(&self, column: fn(product::Column) -> SimpleExpr) -> SimpleExpr {
        column(product::Column::Status).eq(product::Status::from(self.filter.status()).to_value())
    }

    fn priced(
        &self,
        mut query: Select<product::Entity>,
        column: fn(product::Column) -> SimpleExpr,
    ) -> Select<product::Entity> {
        if let Some(min) = self.filter.min_price() {
            query = query.filter(column(product::Column::PriceAmount).gte(min));
        }
        if let Some(max) = self.filter.max_price() {
            query = query.filter(column(product::Column::PriceAmount).lte(max));
        }
        query
    }

    /// Begins a walk after the position and ends it with an edge. Of each two comparisons the first, which the second
    /// implies, is what the index is searched by.
    fn bounded(&self, mut query: Select<product::Entity>, edge: Option<&Position>) -> Select<product::Entity> {
        let (column, order) = self.order();
        if self.is_by_price() {
            query = self.priced(query, plain);
        }
        if let Some(position) = self.after {
            let key = value(&position.key);
            query = query
                .filter(if order == Order::Asc { column.gte(key) } else { column.lte(key) })
                .filter(is_beyond(column, &order, position));
        }
        if let Some(edge) = edge {
            let key = value(&edge.key);
            query = query
                .filter(if order == Order::Asc { column.lte(key) } else { column.gte(key) })
                .filter(is_beyond(column, &order, edge).not());
        }
        query
    }

    async fn fetch(
        &self,
        connection: &impl ConnectionTrait,
        query: Select<product::Entity>,
    ) -> Result<Vec<Listed>, StorageError> {
        if !self.with_availability {
            let rows = query.all(connection).await?;
            return rows.into_iter().map(|row| Ok((Product::try_from(row)?, None))).collect();
        }
        let rows = query.expr_as(available(), AVAILABLE).into_model::<Row>().all(connection).await?;
        rows.into_iter()
            .map(|Row { product, available }| {
                let availability = buyable(product.id, available, product.status);
                Ok((Product::try_from(product)?, Some(availability)))
            })
            .collect()
    }
}

/// A product with its stock.
struct Row {
    product: product::Model,
    available: i64,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self {
            product: product::Model::from_query_result(row, prefix)?,
            available: row.try_get(prefix, AVAILABLE)?,
        })
    }
}

fn value(key: &SortKey) -> Value {
    match key {
        SortKey::Number(number) => Value::from(*number),
        SortKey::Text(text) => Value::from(text.clone()),
    }
}

/// A column as it is.
fn plain(column: product::Column) -> SimpleExpr {
    Expr::col((product::Entity, column))
}

/// A column so that no engine searches or walks an index for it.
fn hidden(column: product::Column) -> SimpleExpr {
    Func::coalesce([plain(column), plain(column)]).into()
}

/// Whether a product comes after a position. Hidden whole, or SQLite would take the two cases for two searches.
fn is_beyond(column: product::Column, order: &Order, position: &Position) -> SimpleExpr {
    let (key, id, at) = (hidden(column), hidden(product::Column::Id), value(&position.key));
    let is_tied = key.clone().eq(at.clone());
    if *order == Order::Asc {
        key.gt(at).or(is_tied.and(id.gt(position.id)))
    } else {
        key.lt(at).or(is_tied.and(id.lt(position.id)))
    }
}

/// By a column and then by id, so that no two products are tied.
fn sorted(
    query: Select<product::Entity>,
    by: fn(product::Column) -> SimpleExpr,
    column: product::Column,
    order: Order,
) -> Select<product::Entity> {
    query.order_by(by(column), order.clone()).order_by(by(product::Column::Id), order)
}

fn is_among(column: SimpleExpr, categories: &[Uuid]) -> SimpleExpr {
    column.is_in(categories.iter().copied())
}

/// Pieces of the product that are available.
fn available() -> SimpleExpr {
    let of_product = Query::select()
        .column((stock::Entity, stock::Column::Available))
        .from(stock::Entity)
        .and_where(Expr::col((stock::Entity, stock::Column::ProductId)).equals((product::Entity, product::Column::Id)))
        .take();
    SimpleExpr::SubQuery(None, Box::new(of_product.into()))
}

/// Asks the stock of each product.
fn is_in_stock(in_stock: bool) -> SimpleExpr {
    if in_stock { available().gt(0) } else { available().eq(0) }
}

/// Asks for the products of such a stock.
fn is_in_stock_by_index(in_stock: bool) -> SimpleExpr {
    let available = Expr::col((stock::Entity, stock::Column::Available));
    let products = Query::select()
        .column((stock::Entity, stock::Column::ProductId))
        .from(stock::Entity)
        .and_where(if in_stock { available.gt(0) } else { available.eq(0) })
        .take();
    plain(product::Column::Id).in_subquery(products)
}

/// Looks for a term in the text of each product.
fn has_term(backend: DbBackend, term: &str) -> SimpleExpr {
    let position = match backend {
        DbBackend::Postgres => "strpos",
        _ => "instr",
    };
    let text = plain(product::Column::SearchText);
    SimpleExpr::from(Func::cust(position).args([text, Expr::val(format!(" {term} "))])).gt(0)
}

/// Asks the engine's own index for the products that have all the words. Terms are letters and digits, so that quoting
/// them is enough for every syntax.
fn matches(backend: DbBackend, words: &Words) -> SimpleExpr {
    let terms = |each: fn(String) -> String, between: &str| words.terms().map(each).collect::<Vec<_>>().join(between);
    match backend {
        DbBackend::Postgres => Expr::cust_with_values(
            r#""products"."search_vector" @@ CAST($1 AS tsquery)"#,
            [terms(|term| format!("'{term}'"), " & ")],
        ),
        DbBackend::MySql => Expr::cust_with_values(
            "MATCH (`products`.`search_text`) AGAINST (? IN BOOLEAN MODE)",
            [terms(|term| format!("+{term}"), " ")],
        ),
        _ => Expr::cust_with_values(
            r#""products"."doc" IN (SELECT "rowid" FROM "product_search" WHERE "product_search" MATCH ?)"#,
            [terms(|term| format!("\"{term}\""), " ")],
        ),
    }
}

#[cfg(test)]
mod engines;
