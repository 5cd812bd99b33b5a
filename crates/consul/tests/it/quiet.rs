//! The library's chatter.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::instrument::WithSubscriber as _;

use crate::client_of;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_the_library_logs_of_each_call_is_dropped_and_what_surrounds_it_is_not() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    async {
        tracing::info!("before");
        client_of("http://127.0.0.1:1").key("a", None).await.unwrap_err();
        tracing::info!("after");
    }
    .with_subscriber(subscriber)
    .await;
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
}
