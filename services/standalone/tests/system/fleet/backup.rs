//! A shop on a database server is backed up while it is used, and restored.

use std::io::Write as _;

use super::{Consul, Fleet, Layout, REGISTERED_BOUND, SERVICES, server};
use crate::backup::{Commands, Kept};

const ONE_OF_EACH: usize = 1;
const DATABASES: [&str; 3] = ["order", "product", "user"];

#[tokio::test]
async fn a_shop_on_postgresql_is_backed_up_and_restored() {
    let Some(server) = server("SHOP_TEST_POSTGRES_URL") else { return };
    comes_back(server, |fleet| {
        Commands::under("PostgreSQL", DATABASES.map(|service| (service, fleet.database_url(service))))
    })
    .await;
}

#[tokio::test]
async fn a_shop_on_mariadb_is_backed_up_and_restored() {
    let Some(server) = server("SHOP_TEST_MYSQL_URL") else { return };
    comes_back(server, |fleet| {
        let url: http::Uri = fleet.database_url("order").split('?').next().unwrap().parse().unwrap();
        let authority = url.authority().unwrap();
        let (user, password) = authority.as_str().split_once('@').unwrap().0.split_once(':').unwrap();
        let (host, port) = (authority.host(), authority.port_u16().unwrap());
        let path = fleet.folder().join("client.cnf");
        let mut file = std::fs::File::create(&path).unwrap();
        write!(file, "[client]\nhost={host}\nport={port}\nuser={user}\npassword={password}\n").unwrap();
        let name = |service| {
            let url = fleet.database_url(service);
            let (address, _) = url.split_once('?').unwrap();
            address.rsplit('/').next().unwrap().to_owned()
        };
        let databases = DATABASES.map(|service| (service, name(service)));
        Commands::under("MariaDB and MySQL", databases.into_iter().chain([("server", path.display().to_string())]))
    })
    .await;
}

async fn comes_back(server: String, commands: impl FnOnce(&Fleet) -> Commands) {
    let consul = Consul::start().await;
    let layout = Layout {
        user: ONE_OF_EACH,
        product: ONE_OF_EACH,
        order: ONE_OF_EACH,
        gateway: ONE_OF_EACH,
        ..Layout::three(server)
    };
    let mut fleet = Fleet::start(layout, &consul).await;
    let commands = commands(&fleet);
    let kept = Kept::in_shop(&fleet).await;
    commands.back_up().await;
    let later = kept.and_then_more(&fleet).await;
    fleet.all_leave().await;
    commands.restore().await;
    for service in SERVICES {
        fleet.add_ready(service).await;
    }
    fleet.is_shown_by(&consul, REGISTERED_BOUND).await;
    fleet.look_for_the_gateway();
    kept.is_back(&fleet, &later).await;
}
