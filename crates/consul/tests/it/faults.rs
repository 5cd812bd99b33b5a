//! What is not as it should be.

use std::time::{Duration, Instant};

use shop_consul::{Authority, Client, ClientOptions, Error, Token, Wait};
use shop_testing_consul::{Behaviour, Consul, Proxy};

use crate::{client, client_of};

async fn asked(behaviour: Behaviour) -> Error {
    let proxy = Proxy::start(Vec::new()).await;
    proxy.behave(behaviour);
    client_of(&proxy.url()).key("a", None).await.unwrap_err()
}

#[tokio::test]
async fn what_refuses_and_what_hangs_is_told_apart_and_takes_no_longer_than_it_may() {
    let refused = client_of("http://127.0.0.1:1").key("a", None).await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }) && refused.is_outage(), "{refused:?}");
    assert!(refused.to_string().contains("SHOP_CONSUL_ADDRESS"), "{refused}");

    let closed = asked(Behaviour::Close).await;
    assert!(matches!(closed, Error::Unreachable { .. }), "{closed:?}");

    let began = Instant::now();
    let hung = asked(Behaviour::Hang).await;
    assert!(matches!(hung, Error::TimedOut { .. }) && hung.is_outage(), "{hung:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_frozen_consul_is_not_waited_for_longer_than_a_wait_takes() {
    let consul = Consul::start().await;
    let client = client(&consul);
    let index = client.key("a", None).await.unwrap().index;
    consul.freeze();
    let began = Instant::now();
    let wait = Wait { index, time: Duration::from_millis(100) };
    let hung = client.key("a", Some(wait)).await.unwrap_err();
    assert!(matches!(hung, Error::TimedOut { .. }), "{hung:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    consul.thaw();
    client.key("a", None).await.unwrap();
}

#[tokio::test]
async fn garbage_is_not_taken_for_an_answer() {
    let indexed = "X-Consul-Index: 7\r\n";
    for behaviour in [
        Behaviour::Answer(vec![0xff; 64]),
        Behaviour::Answer(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Behaviour::answer("200 OK", "", "[]"),
        Behaviour::answer("200 OK", "X-Consul-Index: many\r\n", "[]"),
        Behaviour::answer("200 OK", indexed, "<html>Hello</html>"),
        Behaviour::answer("200 OK", indexed, ""),
        Behaviour::answer("200 OK", indexed, r#"[{"Key": 1}]"#),
        Behaviour::answer("404 Not Found", "", "nothing here"),
    ] {
        let error = asked(behaviour.clone()).await;
        assert!(matches!(error, Error::NotConsul { .. }) && error.is_outage(), "{behaviour:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_consul_says_of_a_failure_is_passed_on_in_part() {
    let message = "No cluster leader".to_owned() + &"!".repeat(1000);
    let error = asked(Behaviour::answer("500 Internal Server Error", "", &message)).await;
    assert!(matches!(error, Error::Failed { status: 500, .. }) && error.is_outage(), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("No cluster leader") && told.len() < 400, "{told}");

    let limited = asked(Behaviour::answer("429 Too Many Requests", "", "slow down")).await;
    assert!(limited.is_outage(), "{limited:?}");
    let redirected = asked(Behaviour::answer("301 Moved", "location: http://127.0.0.1:1/\r\n", "")).await;
    assert!(matches!(redirected, Error::Failed { status: 301, .. }), "{redirected:?}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_short() {
    let mut endless = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\ncontent-length: 1000000000\r\n\r\n[".to_vec();
    endless.resize(8 * 1024 * 1024, b' ');
    let error = asked(Behaviour::Answer(endless)).await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

/// consulrs unwraps the header that it makes of a token.
#[tokio::test]
async fn a_panic_of_the_library_is_an_error() {
    let token = Token::Given("two\nlines".to_owned().into());
    let options = ClientOptions { address: "http://127.0.0.1:1".parse().unwrap(), token, authority: Authority::System };
    let error = Client::new(options).key("a", None).await.unwrap_err();
    assert!(matches!(error, Error::Panicked { .. }) && !error.is_outage(), "{error:?}");
    assert!(!error.to_string().contains("lines"), "{error}");
}
