//! Mounts that go with the test that makes them.

use std::path::Path;
use std::process::Command;

const INSIDE: &str = "DRAY_TEST_INSIDE_MOUNTS";

/// Runs a test of this name in a mount namespace, which goes with it whatever happens.
pub(crate) fn in_own_mounts(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let own = std::env::current_exe().expect("its path");
    let mut command = Command::new("unshare");
    // Without root's rights, in a user namespace where it has them.
    command.args(["--user", "--map-root-user"]);
    command.args(["--mount", "--propagation", "private", "--"]);
    command.arg(own).args(["--exact", "--nocapture", name]);
    let output = command.env(INSIDE, "1").output();
    let output = output.expect("unshare is there (Debian: util-linux)");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "the test failed; or this machine allows no mounts in a namespace (user.max_user_namespaces), which it needs: {said}"
    );
}

pub(crate) fn call(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.expect("it runs").success(),
        "{program} {arguments:?}"
    );
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
