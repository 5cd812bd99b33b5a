//! What a later version of product might be: the same code with one migration more, which does what `SHOP_NEXT` says. Tests
//! upgrade to it; it is in no image but theirs (`e2e/images`).

use std::process::ExitCode;

use sea_orm_migration::{
    MigrationTrait, MigratorTrait,
    prelude::{ColumnDef, Table},
};
use shop_product::{Cli, Migrator, SCHEMA};
use shop_storage::{
    SchemaRange,
    migrate::{Change, Step, steps},
};

/// The schema of the release before is still served from, and left behind by `migrate contract`.
const NEXT: SchemaRange = SchemaRange { oldest_ok: SCHEMA.oldest_ok, newest: SCHEMA.newest + 1 };
/// The exit code of a process that Rust ends for a panic.
const CRASHED: u8 = 101;

fn main() -> ExitCode {
    let next = std::env::var("SHOP_NEXT").unwrap_or_default();
    let serves = std::env::args().any(|argument| argument == "serve");
    match next.as_str() {
        "sound" => shop_server::parse::<Cli>().run_on::<Sound>(NEXT),
        "failing" => shop_server::parse::<Cli>().run_on::<Failing>(NEXT),
        "hanging" => shop_server::parse::<Cli>().run_on::<Hanging>(NEXT),
        "crashing" if serves => ExitCode::from(CRASHED),
        "crashing" => shop_server::parse::<Cli>().run(),
        other => {
            eprintln!("SHOP_NEXT must be sound, failing, hanging or crashing, not {other:?}");
            ExitCode::from(64)
        }
    }
}

/// Adds a table.
struct Sound;

/// Adds the table, and then changes what is not there.
struct Failing;

/// Adds the table, and then never comes back.
struct Hanging;

impl MigratorTrait for Sound {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        and([LABELS])
    }
}

impl MigratorTrait for Failing {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let fail = |_| Change::Sql("UPDATE a_table_that_is_not_there SET x = 1".to_owned());
        and([LABELS, Step { name: "m0025_failing", change: fail }])
    }
}

impl MigratorTrait for Hanging {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let hang = |_| loop {
            std::thread::park();
        };
        and([LABELS, Step { name: "m0025_hanging", change: hang }])
    }
}

const LABELS: Step = Step {
    name: "m0024_labels",
    change: |_| {
        let column = ColumnDef::new("name").string_len(64).not_null().primary_key().to_owned();
        Table::create().table("labels").col(column).to_owned().into()
    },
};

fn and<const N: usize>(more: [Step; N]) -> Vec<Box<dyn MigrationTrait>> {
    let mut all = Migrator::migrations();
    all.extend(steps(more));
    all
}
