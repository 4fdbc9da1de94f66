//! Whose word is taken for who a host is: certificates that the operator adds to the system's.

use std::path::Path;

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls_native_certs::load_certs_from_paths;

use super::FetchError;

/// The certificates of a PEM file, to be added to the system's.
///
/// The client finds the system's own, but for one case: it takes `SSL_CERT_FILE` to stand for them,
/// where we take it to add to them. So the directories in which systems keep them come along.
pub(super) fn added_by(file: &Path) -> Result<Vec<Certificate>, FetchError> {
    let read = load_certs_from_paths(Some(file), None);
    if read.certs.is_empty() {
        let cause = read.errors.first().map(ToString::to_string);
        let cause = cause.unwrap_or_else(|| format!("no certificate is in {}", file.display()));
        return Err(FetchError::Setup(cause));
    }
    let directories = openssl_probe::candidate_cert_dirs();
    let of_the_system = directories.flat_map(|path| load_certs_from_paths(None, Some(path)).certs);
    let all = read.certs.into_iter().chain(of_the_system);
    // The client refuses them all if it cannot use one, and stores have old ones that nobody can.
    let mut usable = RootCertStore::empty();
    all.filter(|certificate| usable.add(certificate.clone()).is_ok())
        .map(|certificate| {
            Certificate::from_der(&certificate)
                .map_err(|error| FetchError::Setup(error.to_string()))
        })
        .collect()
}
