//! Processes that end with this one, however it ends: killed, in a panic, or because a test never came back.

use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use parking_lot::Mutex;

/// Runs each line that it is sent, until nobody can send another one: a pipe closes however a process ends. It has a group
/// of its own, so that an interrupt at the terminal leaves it the time to clear up.
const SCRIPT: &str = r#"
cd "$1"
started=
while IFS= read -r line; do
    sh -c "exec setpriv --pdeathsig KILL -- $line" &
    started="$started $!"
done
[ -z "$started" ] || kill -KILL $started 2>/dev/null
wait
cd /
rm -rf "$1"
"#;

/// A folder, and processes that run in it.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    script: Child,
    lines: Mutex<Option<ChildStdin>>,
}

impl Keeper {
    pub(crate) fn start(folder: PathBuf) -> Self {
        let log = File::create(folder.join("keeper.log")).unwrap();
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = Mutex::new(script.stdin.take());
        Self { folder, script, lines }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a program; what it says is in `<name>.log`.
    pub(crate) fn run(&self, program: &Path, arguments: &[String]) {
        let name = program.file_name().unwrap().to_str().unwrap();
        let mut line = quoted(program.to_str().unwrap());
        for argument in arguments {
            line.push(' ');
            line.push_str(&quoted(argument));
        }
        let mut lines = self.lines.lock();
        writeln!(lines.as_mut().unwrap(), "{line} >{name}.log 2>&1 </dev/null").unwrap();
    }

    /// The end of what everything said, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(15)..].join("\n");
                writeln!(text, "{}:\n{end}", path.display()).unwrap();
            }
        }
        text
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lines.lock().take();
        let _ended = self.script.wait();
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
