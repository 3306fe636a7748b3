//! An authority, and what it signed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with `ca.pem`, and for each name `NAME.pem` and `NAME-key.pem`.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn of(names: &[&str]) -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(
            authority.path("names"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        )
        .unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        authority.openssl(&format!(
            "req -x509 {key} -keyout ca-key.pem -out ca.pem -days 3650 -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE"
        ));
        for name in names {
            authority.openssl(&format!(
                "req {key} -keyout {name}-key.pem -out {name}.csr -subj /CN={name}"
            ));
            authority.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
                 -out {name}.pem -days 3650 -extfile names"
            ));
        }
        authority
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        text(&self.path(file))
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(arguments.split_whitespace())
            .output()
            .expect("openssl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}
