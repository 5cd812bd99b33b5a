//! `shop audit`: reads the databases and says of each invariant whether it holds. It may run beside a working shop: what is
//! being worked on is told apart from what has been wrong for longer than a lease.

mod report;
mod reservations;

use std::{process::ExitCode, sync::OnceLock};

use anyhow::Context as _;
use secrecy::SecretString;
use shop_server::TelemetryOptions;
use shop_storage::DatabaseOptions;

use crate::{cli::AuditOptions, data_dir::DataDir};
use report::{Invariant, Report};

/// Exits 0 when every invariant holds, 1 when one is broken or a database can't be read.
pub(crate) fn run(telemetry: TelemetryOptions, options: AuditOptions) -> ExitCode {
    let clean = OnceLock::new();
    let finished = shop_server::run("shop", telemetry, |_| async {
        let output = options.output;
        let report = examine(options).await?;
        report.print(output)?;
        clean.get_or_init(|| report.is_clean());
        Ok(())
    });
    if clean.get() == Some(&false) { ExitCode::FAILURE } else { finished }
}

async fn examine(options: AuditOptions) -> anyhow::Result<Report> {
    let database = |name: &'static str, url: Option<&SecretString>| match url {
        Some(url) => anyhow::Ok(DatabaseOptions::at(url.clone())),
        None => Ok(DataDir::open(&options.data_dir.data_dir)?.database(name)),
    };
    let reader = async |name: &'static str, url| {
        let opened = shop_storage::open_reader(name, &database(name, url)?).await;
        opened.with_context(|| format!("can't read {name}'s database"))
    };
    let product = reader(shop_product::NAME, options.product_database_url.as_ref()).await?;
    let order = reader(shop_order::NAME, options.order_database_url.as_ref()).await?;

    let stock = shop_product::audit::check(&product).await?;
    let settings = shop_order::audit::Settings { lease: options.lease, relayed: options.event_sink.is_some() };
    let orders = shop_order::audit::check(&order, settings).await?;
    let reservations = reservations::compare(&order, &product, options.lease).await?;

    let mut report = Report::new(orders.examined);
    report.add(Invariant::StockLedger, stock.stock.iter().map(report::stock_finding));
    report.add(Invariant::StockLedger, stock.ledger.iter().map(report::ledger_finding));
    report.add(Invariant::Reservations, reservations);
    report.add(Invariant::Payments, orders.payments.iter().map(report::order_finding));
    report.add(Invariant::History, orders.history.iter().map(report::order_finding));
    report.add(Invariant::Outbox, orders.outbox.iter().map(report::order_finding));
    report.add(Invariant::Idempotency, orders.idempotency.iter().map(report::order_finding));
    report.add(Invariant::Sagas, orders.sagas.iter().map(report::order_finding));
    Ok(report)
}
