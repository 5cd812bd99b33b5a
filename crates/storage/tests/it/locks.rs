//! The lock that keeps other processes from a file.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use shop_storage::Database;

use crate::options;

/// Until a process that is started executes its program, it has all files open that are open here.
#[tokio::test]
async fn a_file_that_was_closed_can_be_opened_whatever_is_started_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let starting = thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            while !ended.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        }
    });
    let mut refused = None;
    for _ in 0..200 {
        match Database::open("test", &options(&folder)).await {
            Ok(database) => database.close().await.unwrap(),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    ended.store(true, Ordering::Relaxed);
    starting.join().unwrap();
    assert!(refused.is_none(), "{refused:?}");
}
