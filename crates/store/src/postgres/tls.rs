//! TLS to Postgres: what a URL asks for, whose certificates count, and why a server is not talked to. Must not know what is said to it.
//!
//! The words are libpq's, with one difference: whoever asks for TLS gets a server whose certificate and name were verified.

use std::error::Error as _;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{Login, SetupError};

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

impl Login {
    /// Opens a connection, plain or over TLS as its URL says.
    pub(crate) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}

/// What a URL says of TLS.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    plain: Option<bool>,
    roots: Option<Roots>,
}

/// Whose signatures count.
#[derive(PartialEq, Eq, Debug)]
enum Roots {
    /// Nobody's: for connections without TLS.
    Nobody,
    System,
    File(PathBuf),
}

impl std::fmt::Display for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("of nobody"),
            Self::System => f.write_str("of the system"),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

impl Asked {
    /// Takes it out of a URL; answers the URL without it. The client's own parser knows neither these words nor these defaults.
    pub(super) fn take(url: &str) -> Result<(String, Self), SetupError> {
        // As the client's parser reads it: credentials end at the first `@`, wherever it stands.
        let (login, place) = url.split_at(url.find('@').unwrap_or_default());
        let Some((place, query)) = place.split_once('?') else { return Ok((url.to_owned(), Self::default())) };
        let (mut asked, mut others) = (Self::default(), Vec::new());
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value: Vec<u8> = percent_decode_str(value).collect();
            match &*percent_decode_str(key).decode_utf8_lossy() {
                "sslmode" => asked.plain = Some(says_plain(&String::from_utf8_lossy(&value))?),
                "sslrootcert" if value == b"system" => asked.roots = Some(Roots::System),
                "sslrootcert" => asked.roots = Some(Roots::File(OsStr::from_bytes(&value).into())),
                _ => others.push(pair),
            }
        }
        Ok((format!("{login}{place}?{}", others.join("&")), asked))
    }

    /// Writes into a login's configuration what it comes to, and answers what makes its connections. A file of roots is read here.
    pub(super) fn settle(self, config: &mut Config) -> Result<MakeRustlsConnect, SetupError> {
        let plain = self.is_plain(config);
        config.ssl_mode(if plain { SslMode::Disable } else { SslMode::Require });
        if !plain && config.get_hosts().iter().any(|h| matches!(h, Host::Unix(_))) {
            let why = "over a unix socket there is no TLS: leave sslmode and sslrootcert out and name the socket alone, or name the host";
            return Err(SetupError::BadTls(why.to_owned()));
        }
        let roots = if plain { Roots::Nobody } else { self.roots.unwrap_or(Roots::System) };
        let mut client = client(&roots).map_err(|message| SetupError::BadRoots { roots: roots.to_string(), message })?;
        if config.get_ssl_negotiation() == SslNegotiation::Direct {
            client.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(client))
    }

    /// Whoever says nothing is plain on this machine and nowhere else; whoever names roots wants TLS.
    fn is_plain(&self, config: &Config) -> bool {
        self.plain.unwrap_or_else(|| self.roots.is_none() && is_local(config))
    }
}

fn says_plain(mode: &str) -> Result<bool, SetupError> {
    match mode {
        "disable" => Ok(true),
        "require" | "verify-ca" | "verify-full" => Ok(false),
        "prefer" | "allow" => Err(SetupError::BadTls(format!(
            "sslmode={mode} protects against nobody, since whoever is between says that there is no TLS: write sslmode=verify-full, or \
             sslmode=disable if the network between is trusted"
        ))),
        _ => Err(SetupError::BadTls("its sslmode is unknown: write disable, require, verify-ca or verify-full".to_owned())),
    }
}

/// Whether every address that is connected to is this machine's.
fn is_local(config: &Config) -> bool {
    // Where addresses stand beside the names, the names are not looked up.
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
    })
}

/// A client that verifies chain and name.
fn client(roots: &Roots) -> Result<ClientConfig, String> {
    // Named here, since others in the process may bring another one.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let builder = match roots {
        Roots::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Roots::System => builder.with_platform_verifier().map_err(|e| e.to_string())?,
        Roots::File(path) => builder.with_root_certificates(read(path)?),
    };
    Ok(builder.with_no_client_auth())
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|e| e.to_string())?;
    let mut store = RootCertStore::empty();
    for (n, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let certificate = certificate.map_err(|e| format!("certificate {n} does not read: {e}"))?;
        store.add(certificate).map_err(|e| format!("certificate {n} does not read: {e}"))?;
    }
    if store.is_empty() { Err("it holds no certificate in PEM".to_owned()) } else { Ok(store) }
}

/// Why a server is not talked to, when it is TLS that failed, and what to do. The client's errors say it in their texts alone.
pub(crate) fn refusal(e: &tokio_postgres::Error) -> Option<String> {
    const OR: &str = "or write sslmode=disable if the network between is trusted";
    if e.to_string() != "error performing TLS handshake" {
        return None;
    }
    let source = e.source()?;
    if source.to_string() == "server does not support TLS" {
        return Some(format!("it speaks no TLS: turn it on at the server, {OR}"));
    }
    let inner = source.downcast_ref::<std::io::Error>().and_then(|e| e.get_ref()?.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(why)) = inner else { return Some(format!("the TLS handshake failed: {source}")) };
    let what = match why {
        // Another CA of the same name has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "name the file of the CA that signed it with sslrootcert=/path/to/ca.pem"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "name the host as its certificate does",
        _ => "have it replaced at the server",
    };
    Some(format!("its certificate does not verify: {why}: {what}, {OR}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    /// Whether a URL is plain, and the query that is left of it.
    fn taken(url: &str) -> Result<(bool, String), String> {
        let (rest, asked) = Asked::take(url).map_err(|e| e.to_string())?;
        let config: Config = rest.parse().unwrap();
        let query = rest.rsplit_once('?').map(|(_, q)| q.to_owned()).unwrap_or_default();
        Ok((asked.is_plain(&config), query))
    }

    fn certificate(params: rcgen::CertificateParams) -> String {
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn what_is_said_counts_whatever_the_host() {
        for host in ["db.test", "localhost"] {
            for (query, plain, left) in [
                ("sslmode=disable", true, ""),
                ("sslmode=require", false, ""),
                ("sslmode=verify-ca", false, ""),
                ("sslmode=verify-full", false, ""),
                ("ssl%6Dode=disable", true, ""),
                ("sslmode=disable&sslmode=require", false, ""),
                ("connect_timeout=1&sslmode=verify%2Dfull&application_name=a%26b", false, "connect_timeout=1&application_name=a%26b"),
                ("sslrootcert=system", false, ""),
                ("sslrootcert=/ca.pem&options=x", false, "options=x"),
                ("sslrootcert=/ca.pem&sslmode=disable", true, ""),
            ] {
                assert_eq!(taken(&format!("postgres://u:p?q@{host}/db?{query}")), Ok((plain, left.to_owned())), "{host} {query}");
                assert_eq!(taken(&format!("postgres://{host}/db?{query}")), Ok((plain, left.to_owned())), "{host} {query}");
            }
        }
        let (_, asked) = Asked::take("postgres://u@h/db?sslrootcert=%2Fa%20b%2Fca.pem").unwrap();
        assert_eq!(asked.roots, Some(Roots::File("/a b/ca.pem".into())));
    }

    #[test]
    fn only_this_machine_is_plain_by_itself() {
        for (place, plain) in [
            ("127.0.0.1/db", true),
            ("127.1.2.3:5433/db", true),
            ("[::1]/db", true),
            ("localhost/db", true),
            ("LocalHost/db", true),
            ("%2Fvar%2Frun%2Fpostgresql/db", true),
            ("/db?host=/var/run/postgresql", true),
            ("localhost,127.0.0.1/db", true),
            ("db/db", false),
            ("10.0.0.5/db", false),
            ("0.0.0.0/db", false),
            ("[fd00::1]/db", false),
            ("localhost.example.com/db", false),
            ("127.0.0.1.example.com/db", false),
            ("localhost,db/db", false),
            ("/db?host=db", false),
            ("localhost/db?hostaddr=10.0.0.5", false),
            ("db/db?hostaddr=127.0.0.1", true),
        ] {
            assert_eq!(taken(&format!("postgres://u:p@{place}")).unwrap().0, plain, "{place}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_before_any_connection_and_without_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let good = certificate(rcgen::CertificateParams::default());
        let bad = [
            ("h/db?sslmode=prefer".to_owned(), "sslmode=prefer protects against nobody"),
            ("h/db?sslmode=allow".to_owned(), "write sslmode=verify-full, or sslmode=disable if the network between is trusted"),
            ("h/db?sslmode=secret".to_owned(), "its sslmode is unknown: write disable, require, verify-ca or verify-full"),
            ("h/db?sslmode=".to_owned(), "its sslmode is unknown"),
            ("h/db?sslcert=/c".to_owned(), "unknown option `sslcert`"),
            ("%2Fsocket/db?sslmode=require".to_owned(), "over a unix socket there is no TLS"),
            ("%2Fsocket,h/db".to_owned(), "over a unix socket there is no TLS"),
            ("h@h/db".to_owned(), "is written %40"),
            ("h/db?sslrootcert=/no/such/ca.pem".to_owned(), "in /no/such/ca.pem cannot be used: No such file"),
            (format!("h/db?sslrootcert={}", folder.path().display()), "Is a directory"),
            (format!("h/db?sslrootcert={}", file("empty", "")), "empty cannot be used: it holds no certificate in PEM"),
            (format!("h/db?sslrootcert={}", file("key", &key)), "key cannot be used: it holds no certificate in PEM"),
            (format!("h/db?sslrootcert={}", file("broken", &format!("{good}{broken}"))), "certificate 2 does not read"),
            (format!("h/db?sslrootcert={}", file("half", &good[..200])), "certificate 1 does not read"),
        ];
        for (url, why) in bad {
            let said = Login::parse(&format!("postgres://user:secret@{url}")).unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("secret"), "{url}: {said}");
        }
        assert!(
            Login::parse("host=h user=u dbname=d sslmode=disable").unwrap_err().to_string().contains("does not begin with postgres://")
        );
        let two = file("two.pem", &format!("a comment\n{good}{}", certificate(rcgen::CertificateParams::default())));
        assert_eq!(read(Path::new(&two)).unwrap().len(), 2);
        let login = Login::parse(&format!("postgres://user:secret@h/db?sslrootcert={two}")).unwrap();
        assert_eq!(login.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(Login::parse("postgres://u@localhost/db").unwrap().config.get_ssl_mode(), SslMode::Disable);
    }
}
