//! The plans of all queries that listings are made of: none reads the whole catalogue.

use sea_orm::{ConnectionTrait, Statement, StatementBuilder};
use shop_storage::Database;
use shop_testing::TestDatabase;
use shop_types::Currency;

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
async fn no_page_is_found_by_reading_a_whole_catalogue_that_is_in_stock() {
    no_page_is_found_by_reading_everything(Lead::OutOfStock).await;
}

#[tokio::test]
async fn no_page_is_found_by_reading_a_whole_catalogue_that_is_out_of_stock() {
    no_page_is_found_by_reading_everything(Lead::InStock).await;
}

/// With one product in fifty as `rare` says.
async fn no_page_is_found_by_reading_everything(rare: Lead) {
    let own = TestDatabase::new(crate::NAME).await;
    let database = stocked(&own, rare).await;
    own.connect().await.execute_unprepared(analyze(own.backend())).await.unwrap();
    let connection = database.reader();
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
    let (mut looked_at, mut bad) = (0, Vec::new());
    for raw in &filters {
        let filter = Filter::parse(raw).unwrap();
        for sort in SORTS {
            let categories = filter.category().is_some().then_some(categories.as_slice());
            let mut after = None;
            // The first page, and one after the products that a window had.
            for _ in 0..2 {
                let listing = Listing {
                    filter: &filter,
                    categories,
                    sort,
                    after: after.as_ref(),
                    limit: 20,
                    with_availability: false,
                };
                let edge = listing.edge(connection).await.unwrap();
                for (name, statement) in statements(&listing, own.backend(), edge.as_ref(), rare) {
                    looked_at += 1;
                    if let Some(plan) = reads_everything(connection, &statement).await {
                        let what = format!("{name} of {raw:?} by {sort:?} after {after:?}");
                        bad.push(format!("{what}: {plan:#?}\n{}", statement.sql));
                    }
                }
                after = edge;
            }
        }
    }
    assert!(bad.is_empty(), "{} of {looked_at} read everything:\n{}", bad.len(), bad.join("\n"));
    assert!(looked_at > 100);
    database.close().await.unwrap();
}

/// Everything that a page may ask.
fn statements(
    listing: &Listing<'_>,
    backend: DbBackend,
    edge: Option<&Position>,
    rare: Lead,
) -> Vec<(&'static str, Statement)> {
    let built = |query: SelectStatement| StatementBuilder::build(&query, &backend);
    let Some(lead) = listing.lead() else {
        return vec![("the walk", built(listing.walk(backend, None).into_query()))];
    };
    let mut statements = vec![
        ("the edge", built(listing.edge_query())),
        ("the window", built(listing.walk(backend, edge).into_query())),
    ];
    // What most products are fills a page from the window, and is not searched for.
    if lead == rare || !matches!(lead, Lead::InStock | Lead::OutOfStock) {
        statements.push(("the search", built(listing.search(backend, lead).into_query())));
    }
    statements
}

/// The plan of a statement that reads all products, if it does.
async fn reads_everything(connection: &impl ConnectionTrait, statement: &Statement) -> Option<Vec<String>> {
    let backend = statement.db_backend;
    let explain = if backend == DbBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let explained = Statement { sql: format!("{explain} {}", statement.sql), ..statement.clone() };
    let rows = connection.query_all_raw(explained).await.unwrap();
    let line = |row: &QueryResult| -> String {
        match backend {
            DbBackend::Postgres => row.try_get_by_index(0).unwrap(),
            DbBackend::MySql => {
                let of = |column| row.try_get::<Option<String>>("", column).unwrap().unwrap_or_default();
                format!("{} {} by {}", of("type"), of("table"), of("key"))
            }
            _ => row.try_get_by_index(3).unwrap(),
        }
    };
    let plan: Vec<String> = rows.iter().map(line).collect();
    let everything = |line: &String| match backend {
        DbBackend::Postgres => line.contains("Seq Scan on products"),
        DbBackend::MySql => line.starts_with("ALL products "),
        // A virtual table is "scanned" by its own index.
        _ => line.starts_with("SCAN products") && !line.contains("INDEX"),
    };
    plan.iter().any(everything).then_some(plan)
}

fn analyze(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::MySql => "ANALYZE TABLE products",
        _ => "ANALYZE",
    }
}

/// Products of all prices, one in a hundred with a rare word.
async fn stocked(own: &TestDatabase, rare: Lead) -> Database {
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
        stock: i64::from((n % 50 == 0) == (rare == Lead::InStock)),
        ..SeedProduct::default()
    });
    seed(&database, usd, &categories, products).await.unwrap();
    database
}
