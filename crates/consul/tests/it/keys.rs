//! Keys.

use std::time::Duration;

use shop_consul::{Indexed, Wait};
use shop_testing_consul::Consul;
use tokio::time::Instant;

use crate::{PATIENCE, client, until_newer_than};

#[tokio::test]
async fn a_key_is_waited_for_read_changed_and_removed() {
    let consul = Consul::start().await;
    let client = client(&consul);
    let Indexed { index, value } = client.key("shops/default/demo/config", None).await.unwrap();
    assert_eq!(value, None);

    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.key("shops/default/demo/config", until_newer_than(index)).await }
    });
    // The query may not have arrived yet; then it is answered at once, which is as good.
    let document = br#"{"maintenance": true}"#.to_vec();
    client.set_key("shops/default/demo/config", document.clone()).await.unwrap();
    let Indexed { index, value } = waiting.await.unwrap().unwrap();
    assert_eq!(value, Some(document));

    client.set_key("shops/default/demo/config", Vec::new()).await.unwrap();
    let Indexed { index, value } = client.key("shops/default/demo/config", until_newer_than(index)).await.unwrap();
    assert_eq!(value, Some(Vec::new()));

    client.remove_key("shops/default/demo/config").await.unwrap();
    client.remove_key("shops/default/demo/config").await.unwrap();
    let gone = client.key("shops/default/demo/config", until_newer_than(index)).await.unwrap();
    assert_eq!(gone.value, None);
    assert!(gone.index >= index);
}

#[tokio::test]
async fn a_wait_without_news_ends_with_its_time() {
    let consul = Consul::start().await;
    let client = client(&consul);
    client.set_key("a", b"1".to_vec()).await.unwrap();
    let Indexed { index, .. } = client.key("a", None).await.unwrap();
    let began = Instant::now();
    let time = Duration::from_millis(200);
    let same = client.key("a", Some(Wait { index, time })).await.unwrap();
    assert_eq!((same.index, same.value), (index, Some(b"1".to_vec())));
    assert!((time..PATIENCE).contains(&began.elapsed()));
}

#[test]
fn an_index_that_goes_back_starts_anew() {
    let wait = |index| Wait { index, time: PATIENCE };
    assert_eq!(wait(7).after(9).index, 9);
    assert_eq!(wait(7).after(7).index, 7);
    assert_eq!(wait(7).after(3).index, 0);
    assert_eq!(wait(0).after(0).index, 1, "0 would not wait");
}
