//! The plans of all queries that listings are made of: none reads the whole catalogue.

use sea_orm::{ConnectionTrait, Statement, StatementBuilder};
use serde_json::Value;
use shop_storage::Database;
use shop_testing::TestDatabase;
use shop_types::{Currency, new_id};

use super::*;
use crate::{SeedCategory, SeedProduct, domain::RawFilter, migrate_up, seed};

/// So many that the planners of the servers don't find a look at everything cheaper than an index.
const PRODUCTS: usize = 10_000;
const CATEGORIES: [&str; 25] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
    "x", "y",
];
const SORTS: [Sort; 4] = [Sort::Newest, Sort::PriceAscending, Sort::PriceDescending, Sort::Name];

const ANY: RawFilter<'_> = RawFilter {
    status: ProductStatus::Active,
    min_price: None,
    max_price: None,
    in_stock: None,
    query: "",
    category: "",
};

#[tokio::test]
async fn no_page_is_found_by_reading_the_whole_catalogue() {
    let own = TestDatabase::new(crate::NAME).await;
    let database = stocked(&own).await;
    let connection = own.connect().await;
    connection.execute_unprepared(analyze(own.backend())).await.unwrap();
    let links = crate::store::categories::links(database.reader()).await.unwrap();
    let categories: Vec<Uuid> = links.iter().take(2).map(|(id, _)| *id).collect();
    let filters = [
        ANY,
        RawFilter { status: ProductStatus::Archived, ..ANY },
        RawFilter { in_stock: Some(true), ..ANY },
        RawFilter { in_stock: Some(false), ..ANY },
        RawFilter { min_price: Some(500), max_price: Some(600), ..ANY },
        RawFilter { query: "rare", ..ANY },
        RawFilter { query: "rare tea", category: "a", in_stock: Some(true), min_price: Some(1), ..ANY },
        RawFilter { category: "a", ..ANY },
    ];
    let mut looked_at = 0;
    for raw in &filters {
        let filter = Filter::parse(raw).unwrap();
        for sort in SORTS {
            let key = if sort == Sort::Name { SortKey::Text("product 5".to_owned()) } else { SortKey::Number(5_000) };
            let position = Position { key, id: new_id() };
            for after in [None, Some(&position)] {
                let categories = filter.category().is_some().then_some(categories.as_slice());
                let listing = Listing { filter: &filter, categories, sort, after, limit: 20, with_availability: false };
                for (name, statement) in statements(&listing, own.backend(), &position) {
                    assert_uses_an_index(
                        &connection,
                        &statement,
                        &format!("{name} of {raw:?} by {sort:?} after {after:?}"),
                    )
                    .await;
                    looked_at += 1;
                }
            }
        }
    }
    assert!(looked_at > 100);
    database.close().await.unwrap();
}

/// Everything that a page may ask.
fn statements(listing: &Listing<'_>, backend: DbBackend, edge: &Position) -> Vec<(&'static str, Statement)> {
    let built = |query: SelectStatement| StatementBuilder::build(&query, &backend);
    let Some(lead) = listing.lead() else {
        return vec![("the walk", built(listing.walk(backend, None).into_query()))];
    };
    vec![
        ("the edge", built(listing.edge_query())),
        ("the window", built(listing.walk(backend, Some(edge)).into_query())),
        ("the search", built(listing.search(backend, lead).into_query())),
    ]
}

async fn assert_uses_an_index(connection: &impl ConnectionTrait, statement: &Statement, what: &str) {
    let backend = statement.db_backend;
    let explain = match backend {
        DbBackend::Postgres => "EXPLAIN ",
        DbBackend::MySql => "EXPLAIN FORMAT=JSON ",
        _ => "EXPLAIN QUERY PLAN ",
    };
    let explained = Statement { sql: format!("{explain}{}", statement.sql), ..statement.clone() };
    let rows = connection.query_all_raw(explained).await.unwrap();
    let column = if backend == DbBackend::Sqlite { 3 } else { 0 };
    let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).unwrap()).collect();
    let reads_all = match backend {
        DbBackend::Postgres => plan.iter().any(|line| line.contains("Seq Scan on products")),
        DbBackend::MySql => reads_all(&serde_json::from_str(&plan[0]).unwrap()),
        // A virtual table is "scanned" by its own index.
        _ => plan.iter().any(|line| line.starts_with("SCAN products") && !line.contains("INDEX")),
    };
    assert!(!reads_all, "{what} reads everything: {plan:#?}\n{}", statement.sql);
}

/// Whether a plan of MariaDB's or MySQL's reads products without a key.
fn reads_all(plan: &Value) -> bool {
    match plan {
        Value::Object(fields) => {
            let all = fields.get("access_type").is_some_and(|access| access == "ALL");
            (all && fields.get("table_name").is_some_and(|name| name == "products")) || fields.values().any(reads_all)
        }
        Value::Array(items) => items.iter().any(reads_all),
        _ => false,
    }
}

fn analyze(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::MySql => "ANALYZE TABLE products",
        _ => "ANALYZE",
    }
}

/// Products of all prices, one in fifty out of stock, one in a hundred rare.
async fn stocked(own: &TestDatabase) -> Database {
    migrate_up(&own.options()).await.unwrap();
    let database = Database::open(crate::NAME, &own.options()).await.unwrap();
    let categories: Vec<_> = CATEGORIES
        .iter()
        .map(|slug| SeedCategory { slug: (*slug).to_owned(), name: (*slug).to_owned(), parent: String::new() })
        .collect();
    let usd: Currency = "USD".parse().unwrap();
    let products = (0..PRODUCTS).map(|n| SeedProduct {
        sku: format!("SKU-{n}"),
        slug: format!("product-{n}"),
        name: format!("Product {n} tea {}", if n % 100 == 0 { "rare" } else { "" }),
        category: CATEGORIES[n % CATEGORIES.len()].to_owned(),
        price: i64::try_from(n).unwrap(),
        stock: i64::from(n % 50 != 0),
        ..SeedProduct::default()
    });
    seed(&database, usd, &categories, products).await.unwrap();
    database
}
