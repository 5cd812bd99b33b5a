//! Background tasks: told when draining starts, waited for, bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shop_server::Shutdown;

use crate::{
    PATIENCE,
    client::get,
    service::{answer, ask, options, start},
    soon,
};

#[tokio::test]
async fn a_server_leaves_after_its_background_tasks() {
    let server = start(options()).await;
    let done = Arc::new(AtomicBool::new(false));
    let (token, told) = (server.shutdown.token(), Arc::clone(&done));
    server.shutdown.spawn("last words", async move {
        token.cancelled().await;
        tokio::task::yield_now().await;
        told.store(true, Ordering::Release);
    });
    server.shutdown.begin();
    soon("the end", server.running.join()).await.unwrap();
    assert!(done.load(Ordering::Acquire), "the task was not waited for");
}

#[tokio::test]
async fn without_a_server_tasks_are_told_at_once() {
    let shutdown = Shutdown::new();
    let token = shutdown.token();
    shutdown.spawn("follower", async move { token.cancelled().await });
    assert!(!shutdown.is_begun());
    shutdown.begin();
    assert!(shutdown.is_begun());
    soon("the news", shutdown.leaving()).await;
    soon("the task's end", shutdown.join(PATIENCE)).await;
}

#[tokio::test]
async fn a_panic_is_counted_and_calls_go_on() {
    let server = start(options()).await;
    server.shutdown.spawn("doomed", async { panic!("the test asked for it") });
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    soon("the count", async {
        loop {
            let (_, body) = get(server.admin(), "/metrics").await.unwrap();
            let counted = |line: &str| {
                line.starts_with("shop_background_task_panics_total{")
                    && line.contains(r#"task_name="doomed""#)
                    && line.ends_with(" 1")
            };
            if body.lines().any(counted) {
                break;
            }
            beat.tick().await;
        }
    })
    .await;
    assert_eq!(answer(&mut server.client().await, ask("after")).await.unwrap(), "after");
}

#[tokio::test]
async fn a_stuck_task_is_aborted_and_a_panic_stays_its_own() {
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let shutdown = Shutdown::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&dropped));
    shutdown.spawn("panics", async { panic!("the test asked for it") });
    shutdown.spawn("stuck", async move {
        let _told = told;
        std::future::pending::<()>().await;
    });
    shutdown.begin();
    soon("the end of waiting", shutdown.join(Duration::from_millis(20))).await;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    soon("the task's end", async {
        while !dropped.load(Ordering::Acquire) {
            beat.tick().await;
        }
    })
    .await;
}
