//! A site on loopback that speaks TLS, with an authority of its own for its certificate.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// What its certificate says that it is called.
const NAMES: [&str; 3] = ["localhost", "client.test", "127.0.0.1"];

/// The file with its authority's certificate.
const AUTHORITY: &str = "authority.pem";

/// A running site. It stops when it is dropped.
pub(crate) struct TlsSite {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
    directory: TempDir,
}

impl TlsSite {
    /// A site that answers like this.
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let directory = TempDir::new().expect("a directory");
        let authority = authority_of(addr);
        fs::write(directory.path().join(AUTHORITY), authority.pem()).expect("a file");
        let acceptor = acceptor(&authority);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, acceptor.clone(), router.clone()));
            }
        });
        Self {
            addr,
            connections,
            accepting,
            directory,
        }
    }

    /// The absolute URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_at("localhost", path)
    }

    /// The same at another name or address.
    pub(crate) fn url_at(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.addr.port())
    }

    /// The certificate of its authority, for `SSL_CERT_FILE`.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join(AUTHORITY)
    }

    /// How often somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TlsSite {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An authority of that site's own. Two of one name would be taken for each other.
fn authority_of(site: SocketAddr) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("the authority of {site}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// A certificate for a site on loopback that is not ours, with its authority's.
pub(crate) struct Certificate {
    directory: TempDir,
}

impl Certificate {
    pub(crate) fn issue() -> Self {
        let directory = TempDir::new().expect("a directory");
        // No two tests have the same one.
        let authority = authority_of(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(NAMES.map(str::to_owned)).expect("names");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let write = |name, text| fs::write(directory.path().join(name), text).expect("a file");
        write(AUTHORITY, authority.pem());
        write("key.pem", key.serialize_pem());
        write("certificate.pem", certificate.pem());
        Self { directory }
    }

    /// One of `key.pem`, `certificate.pem` and `authority.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn acceptor(authority: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(NAMES.map(str::to_owned)).expect("names");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

/// Who does not like our certificate goes, which is no failure here.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}
