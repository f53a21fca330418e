//! TLS to a server of the test's own: who is talked to, over what, and who is not.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::sync::mpsc::unbounded_channel;
use tollgate_core::ports::Registry as _;
use tollgate_private_postgres::{Mode, Options, Server};
use tollgate_store::{Committed, Heard, Login, PgOptions, PgStore, Role, SetupError, create_login, migrate};

/// What the server's certificate is for.
const NAME: &str = "db.test";

/// A server, and the certificates of CAs in files beside its own.
struct House {
    server: Server,
    signer: Issuer<'static, KeyPair>,
}

/// A CA, and its certificate.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

impl House {
    /// Without TLS, so far.
    fn start() -> Self {
        let server = Server::start(&Options::new().fast_unsafe()).unwrap();
        let (signer, ca) = authority("CA");
        let house = Self { server, signer };
        house.write("ca.pem", &ca);
        house.write("other.pem", &authority("another CA").1);
        house.write("namesake.pem", &authority("CA").1);
        house
    }

    /// As a file of the server's, which insists that nobody else reads its key.
    fn write(&self, name: &str, text: &str) {
        let path = self.server.data_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let owner = std::fs::metadata(self.server.data_dir()).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// From now on it speaks TLS and nothing else.
    fn speak_tls(&mut self) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &self.signer).unwrap();
        self.write("server.crt", &certificate.pem());
        self.write("server.key", &key.serialize_pem());
        self.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
        self.server.psql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
        self.server.restart(Mode::Fast).unwrap();
    }

    /// The administrator's URL, by another name of this machine.
    fn url(&self, name: &str, query: &str, roots: &str) -> String {
        let url = self.server.url("postgres").replacen("127.0.0.1", name, 1);
        let roots = self.server.data_dir().join(roots);
        format!("{url}?hostaddr=127.0.0.1&{query}&sslrootcert={}", roots.display())
    }

    /// What is said of a server that is not talked to.
    async fn refused(&self, url: &str) -> String {
        let refused = migrate(&Login::parse(url).unwrap()).await.unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, SetupError::Untrusted { .. }), "{said}");
        let own = self.server.url("postgres");
        let password = own.split('@').next().unwrap().rsplit(':').next().unwrap();
        assert!(!password.is_empty() && !said.contains(password), "{said}");
        assert!(said.ends_with("or write sslmode=disable if the network between is trusted"), "{said}");
        said
    }
}

#[tokio::test]
async fn every_connection_is_encrypted_and_bound_to_the_certificate() {
    let mut house = House::start();
    house.speak_tls();
    let admin = house.url(NAME, "channel_binding=require", "ca.pem");
    assert_eq!(migrate(&Login::parse(&admin).unwrap()).await.unwrap().0, 0);
    let url = create_login(&admin, Role::Serve, "serve", "serve").await.unwrap();
    let login = Login::parse(&url).unwrap();
    let options = PgOptions { login, role: Role::Serve, readers: 1, clock: None, inline: None, on_commit: Box::new(|_| {}) };
    let store = PgStore::open(options).await.unwrap();
    let (tell, mut hears) = unbounded_channel();
    store.listen(move |heard| drop(tell.send(heard)));
    assert_eq!(hears.recv().await, Some(Heard::Up));
    house.server.psql("postgres", "NOTIFY tollgate, 's'").unwrap();
    assert_eq!(hears.recv().await, Some(Heard::News(Committed { steps: true, ..Committed::default() })));
    // A commit, beside the read with which the store opened.
    store.config_rev().await.unwrap();
    let sessions = "SELECT count(*) FILTER (WHERE a.query LIKE '%LISTEN tollgate'), count(*) >= 3, bool_and(s.ssl)
         FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'serve'";
    assert_eq!(house.server.psql("postgres", sessions).unwrap(), "1|t|t");
    for mode in ["require", "verify-ca", "verify-full"] {
        migrate(&Login::parse(&house.url(NAME, &format!("sslmode={mode}"), "ca.pem")).unwrap()).await.unwrap();
    }
    let plain = migrate(&Login::parse(&house.server.url("postgres")).unwrap()).await.unwrap_err();
    assert!(matches!(plain, SetupError::Unreachable { .. }) && plain.to_string().contains("no encryption"), "{plain}");
}

#[tokio::test]
async fn a_server_that_does_not_show_who_it_is_is_not_talked_to() {
    let mut house = House::start();
    let said = house.refused(&house.url(NAME, "sslmode=require", "ca.pem")).await;
    assert!(said.contains("is not talked to: it speaks no TLS: turn it on at the server"), "{said}");
    house.speak_tls();
    for mode in ["require", "verify-ca", "verify-full"] {
        let mode = format!("sslmode={mode}");
        for roots in ["other.pem", "namesake.pem"] {
            let said = house.refused(&house.url(NAME, &mode, roots)).await;
            assert!(said.contains("its certificate does not verify: ") && said.contains("sslrootcert=/path/to/ca.pem"), "{said}");
        }
        for name in ["other.test", "127.0.0.1"] {
            let said = house.refused(&house.url(name, &mode, "ca.pem")).await;
            assert!(said.contains("not valid for name") && said.contains(NAME) && said.contains("name the host as"), "{said}");
        }
    }
}
