//! The schema that the migrations make on the engine that is tested is the one that is committed beside them.

use shop_testing::{TestDatabase, assert_schema};

#[tokio::test]
async fn the_migrations_make_the_committed_schema() {
    let own = TestDatabase::new(shop_user::NAME).await;
    shop_user::migrate_up(&own.options()).await.unwrap();
    assert_schema(&own, "src/migration/schema").await;
}
