//! Where the binaries are.

use std::{env, path::PathBuf, process::Command};

/// Names the folder of the binaries, or is `none` where they could not be built.
pub const TOOLS_VARIABLE: &str = "SHOP_TEST_KUBERNETES";

/// The folder with `etcd`, `kube-apiserver` and `kube-controller-manager`: what [`TOOLS_VARIABLE`] names, or where
/// `e2e/cluster/tools/build` puts them. `None`, with a line that says so, where there are none.
pub fn tools() -> Option<PathBuf> {
    let folder = match env::var(TOOLS_VARIABLE) {
        Ok(none) if none == "none" => {
            println!("not run: there is no Kubernetes API server, since there is no Go to build it with");
            return None;
        }
        Ok(folder) => PathBuf::from(folder),
        Err(_) => built(),
    };
    for tool in ["etcd", "kube-apiserver", "kube-controller-manager"] {
        assert!(
            folder.join(tool).is_file(),
            "this test needs {tool}: `make kubernetes` builds it, or {TOOLS_VARIABLE} names a folder that has it"
        );
    }
    Some(folder)
}

/// The script names the folder by what it builds from. Cargo runs tests in the folder of their package.
fn built() -> PathBuf {
    let package = env::current_dir().unwrap();
    let scripts = package.ancestors().map(|folder| folder.join("e2e/cluster/tools/build"));
    let script = scripts.into_iter().find(|script| script.is_file()).expect("tests run within the project");
    let output = Command::new(&script).output().unwrap();
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
