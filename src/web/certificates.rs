//! Whose word is taken for who a host is: the system's certificate authorities, and the operator's.
//!
//! They are read here, and certificates judged by them in this process. The platform's own verifier,
//! which the client would use, has two manners that do not suit a guard: some platforms fetch what
//! a stranger's certificate names, and it logs each certificate that it does not like as an error.

use std::{
    env,
    path::{Path, PathBuf},
};

use reqwest::Certificate;
use rustls::{RootCertStore, pki_types::CertificateDer};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use super::cause::innermost;

/// Names a file of certificates that are trusted, as it does for other programs.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Where some systems keep all certificates in one file, and have no directory of them.
const BUNDLE: &str = "/etc/ssl/cert.pem";

/// The file that the operator adds to what the system trusts.
pub fn added() -> Option<PathBuf> {
    let named = env::var_os(VARIABLE).filter(|path| !path.is_empty());
    named.map(PathBuf::from)
}

/// The certificates of the system and of a PEM file; or why there is none that can be used.
pub fn trusted(added: Option<&Path>) -> Result<Vec<Certificate>, String> {
    let mut all = load_native_certs().certs;
    if let Some(file) = added {
        // If the environment names the file, what was just loaded is that instead of the system's.
        all.extend(of_the_system());
        let read = load_certs_from_paths(Some(file), None);
        if read.certs.is_empty() {
            let cause = read.errors.first().map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| format!("no certificate in {}", file.display()));
            return Err(cause);
        }
        all.extend(read.certs);
    }
    all.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    all.dedup();
    // The client refuses them all if it cannot use one, and stores have old ones that nobody can.
    let mut usable = RootCertStore::empty();
    all.retain(|certificate| usable.add(certificate.clone()).is_ok());
    if all.is_empty() {
        let cause = "the system has no certificate authorities; install them, or name a file of \
                     them in SSL_CERT_FILE";
        return Err(cause.to_owned());
    }
    all.iter()
        .map(|certificate| Certificate::from_der(certificate))
        .collect::<Result<_, _>>()
        .map_err(|error| innermost(&error))
}

fn of_the_system() -> impl Iterator<Item = CertificateDer<'static>> {
    let directories = openssl_probe::candidate_cert_dirs()
        .flat_map(|directory| load_certs_from_paths(None, Some(directory)).certs);
    directories.chain(load_certs_from_paths(Some(Path::new(BUNDLE)), None).certs)
}
