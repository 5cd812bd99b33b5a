//! What the schema of a database is, as text that is committed and compared.

use std::{fmt::Write as _, fs, path::Path};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::TestDatabase;

/// Set, it renews what is committed instead of comparing with it.
const RENEW_VARIABLE: &str = "SHOP_TEST_RENEW_SCHEMAS";

const SQLITE: &str = "
    SELECT sql || ';' AS line FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY tbl_name, type = 'index', name";

const POSTGRES: &str = r#"
    SELECT relation || ': ' || line AS line FROM (
        SELECT c.relname AS relation, 1 AS kind, a.attnum AS place,
            a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || quote_ident(l.collname) ELSE '' END
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
                || CASE WHEN d.oid IS NULL THEN ''
                        WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ')'
                        ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END AS line
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT c.relname, 2, 0, 'CONSTRAINT ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE k.connamespace = current_schema()::regnamespace
        UNION ALL
        SELECT tablename, 3, 0, replace(indexdef, ' ' || schemaname || '.', ' ')
        FROM pg_indexes WHERE schemaname = current_schema()
    ) AS schema ORDER BY relation COLLATE "C", kind, place, line COLLATE "C""#;

/// Compares the schema with the one in `folder` of the package, in the file of its engine. Cargo runs tests in the folder of
/// their package; where that was when they were built may be another checkout.
pub async fn assert_schema(own: &TestDatabase, folder: &str) {
    let connection = own.connect().await;
    let (name, schema) = match own.backend() {
        DbBackend::Sqlite => ("sqlite", lines(&connection, SQLITE, "line").await),
        DbBackend::Postgres => ("postgres", lines(&connection, POSTGRES, "line").await),
        _ => ("mariadb", of_mariadb(&connection).await),
    };
    connection.close().await.unwrap();
    let path = Path::new(folder).join(format!("{name}.sql"));
    if std::env::var_os(RENEW_VARIABLE).is_some() {
        fs::create_dir_all(folder).unwrap();
        fs::write(path, schema).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "{} is not what the migrations make; `make schemas` renews it. They make:\n{schema}",
        path.display()
    );
}

async fn lines(connection: &DatabaseConnection, sql: &str, column: &str) -> String {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.unwrap();
    rows.iter().fold(String::new(), |mut all, row| {
        let line: String = row.try_get("", column).unwrap();
        writeln!(all, "{line}").unwrap();
        all
    })
}

async fn of_mariadb(connection: &DatabaseConnection) -> String {
    let tables = "SELECT CAST(table_name AS CHAR) AS line FROM information_schema.tables
                  WHERE table_schema = DATABASE() ORDER BY BINARY table_name";
    let mut schema = String::new();
    for table in lines(connection, tables, "line").await.lines() {
        schema += &lines(connection, &format!("SHOW CREATE TABLE `{table}`"), "Create Table").await;
    }
    schema
}
