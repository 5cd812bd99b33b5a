//! The README's tour, word for word: every `sh` block is run, and prints what the block after it says.

use std::process::Stdio;

use crate::shop::Shop;

/// Commands and what they are said to print, in order.
pub(crate) fn blocks(readme: &str) -> Vec<(String, Option<String>)> {
    let mut blocks: Vec<(String, Option<String>)> = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in readme.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, String::new())),
            (Some((language, text)), Some("")) => {
                match *language {
                    "sh" => blocks.push((std::mem::take(text), None)),
                    "text" => blocks.last_mut().unwrap().1 = Some(std::mem::take(text)),
                    _ => {}
                }
                open = None;
            }
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[tokio::test]
async fn the_tour_works_as_written() {
    let shop = Shop::start_with_demo().await;
    let readme = include_str!("../../../../README.md");
    let blocks = blocks(readme);
    assert!(blocks.len() >= 6, "the tour lost its commands");
    // The tests give the secret by variable; a newcomer's shop keeps it in its folder.
    std::fs::write(shop.data_dir().join("secrets/payment-webhook"), crate::shop::WEBHOOK_SECRET).unwrap();
    // One shell for all, so that variables live on; a marker line ends each block's output.
    let marker = "-- end of block --";
    let data_dir = shop.data_dir().display().to_string();
    let commands: Vec<&str> = blocks.iter().map(|(commands, _)| commands.as_str()).collect();
    let script = format!("{}\necho '{marker}'\n", commands.join(&format!("\necho '{marker}'\n")));
    let script = script
        .replace("http://127.0.0.1:8080", &shop.ready.gateway)
        .replace("shop-data", &data_dir)
        .replace("admin@shop.example", crate::shop::ADMIN_EMAIL)
        .replace("what make run printed", crate::shop::ADMIN_PASSWORD)
        .replace("make audit", &format!("'{}' audit --data-dir '{data_dir}'", env!("CARGO_BIN_EXE_shop")));
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(2), output).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    for ((commands, said), printed) in blocks.iter().zip(stdout.split(&format!("{marker}\n"))) {
        if let Some(said) = said {
            assert_eq!(printed, said, "after:\n{commands}\n{stderr}");
        }
    }
}
