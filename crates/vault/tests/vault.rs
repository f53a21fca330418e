//! What is sealed opens only where it belongs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tollgate_core::id::{ResellerId, TenantId};
use tollgate_core::ports::{BoxFuture, Clock, Entropy, IdSource, Sealer, SecretCiphertext, SecretLease, SecretSource, VaultError};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::time::Timestamp;
use tollgate_vault::{MasterKey, Vault};

struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

struct Counter(Mutex<u64>);
impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for b in buffer {
            let mut n = self.0.lock().unwrap();
            *n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *b = n.to_be_bytes()[0];
        }
    }
}

#[derive(Default)]
struct Shelf(Mutex<BTreeMap<(Scope, String), SecretCiphertext>>);
impl SecretSource for Shelf {
    fn secret<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>> {
        let found = self.0.lock().unwrap().get(&(scope, name.to_owned())).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }
}

fn ids() -> IdSource {
    IdSource::new(Arc::new(Still), Arc::new(Counter(Mutex::new(1))))
}

fn scope(tenant: u8, mode: Mode) -> Scope {
    Scope { reseller_id: ResellerId::from_bytes([1; 16]), tenant_id: TenantId::from_bytes([tenant; 16]), mode }
}

fn vault() -> (Vault, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let vault = Vault::new(MasterKey::from_text(&"ab".repeat(32)).unwrap(), ids(), Arc::clone(&shelf) as Arc<dyn SecretSource>);
    for tenant in [2, 3] {
        vault.load_tenant(scope(tenant, Mode::Live), None).unwrap().unwrap();
    }
    (vault, shelf)
}

fn lease(v: &Vault, s: Scope, name: &str) -> Result<SecretLease, VaultError> {
    let mut future = v.lease(s, name);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => panic!("the shelf answers at once"),
    }
}

#[test]
fn a_secret_is_leased_where_it_was_set_and_nowhere_else() {
    let (v, shelf) = vault();
    let (live, test, other) = (scope(2, Mode::Live), scope(2, Mode::Test), scope(3, Mode::Live));
    let c = v.encrypt_secret(live, "token", 1, b"hunter2").unwrap();
    assert!(!c.bytes.windows(7).any(|w| w == b"hunter2"));
    for s in [live, test, other] {
        shelf.0.lock().unwrap().insert((s, "token".to_owned()), c.clone());
        shelf.0.lock().unwrap().insert((s, "renamed".to_owned()), SecretCiphertext { name: "renamed".to_owned(), ..c.clone() });
    }
    let got = lease(&v, live, "token").unwrap();
    assert_eq!((got.expose(), got.version()), (&b"hunter2"[..], 1));
    assert_eq!(format!("{got:?}"), "SecretLease(redacted)");
    for (s, name) in [(test, "token"), (other, "token"), (live, "renamed")] {
        assert!(matches!(lease(&v, s, name), Err(VaultError::CannotDecrypt(_))), "{s:?} {name}");
    }
    assert_eq!(lease(&v, live, "gone").unwrap_err(), VaultError::NotSet("gone".to_owned()));
}

#[test]
fn a_rotated_secret_is_read_again_once_it_is_said() {
    let (v, shelf) = vault();
    let live = scope(2, Mode::Live);
    let put = |version, value: &[u8]| {
        shelf.0.lock().unwrap().insert((live, "token".to_owned()), v.encrypt_secret(live, "token", version, value).unwrap())
    };
    put(1, b"one");
    assert_eq!(lease(&v, live, "token").unwrap().version(), 1);
    put(2, b"two");
    v.secret_changed(live, "token");
    assert_eq!(lease(&v, live, "token").unwrap().expose(), b"two");
}

/// Answers what it held when it was asked, and only later.
#[derive(Default)]
struct Slow(Shelf);
impl SecretSource for Slow {
    fn secret<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>> {
        let found = self.0.secret(scope, name);
        let mut asked = false;
        let mut found = Some(found);
        Box::pin(std::future::poll_fn(move |cx| {
            if !std::mem::replace(&mut asked, true) {
                return Poll::Pending;
            }
            found.as_mut().map_or(Poll::Pending, |f| f.as_mut().poll(cx))
        }))
    }
}

#[test]
fn a_secret_that_changes_while_it_is_read_is_not_kept() {
    let slow = Arc::new(Slow::default());
    let v = Vault::new(MasterKey::from_text(&"ab".repeat(32)).unwrap(), ids(), Arc::clone(&slow) as Arc<dyn SecretSource>);
    let live = scope(2, Mode::Live);
    v.load_tenant(live, None).unwrap().unwrap();
    let shelf = |version, value: &[u8]| {
        slow.0.0.lock().unwrap().insert((live, "token".to_owned()), v.encrypt_secret(live, "token", version, value).unwrap());
    };
    shelf(1, b"leaked");
    let mut context = Context::from_waker(Waker::noop());
    let mut early = v.lease(live, "token");
    assert!(early.as_mut().poll(&mut context).is_pending());
    shelf(2, b"rotated");
    v.secret_changed(live, "token");
    assert!(matches!(early.as_mut().poll(&mut context), Poll::Ready(Ok(l)) if l.version() == 1), "read before the change");
    let mut late = v.lease(live, "token");
    assert!(late.as_mut().poll(&mut context).is_pending(), "the store is asked again");
    assert!(matches!(late.as_mut().poll(&mut context), Poll::Ready(Ok(l)) if l.expose() == b"rotated"));
}

#[test]
fn every_changed_byte_of_a_sealed_value_is_noticed() {
    let (v, _) = vault();
    let live = scope(2, Mode::Live);
    let sealed = v.seal(live, "ann", b"values").unwrap();
    let key = sealed.new_key.clone().unwrap();
    assert_eq!(v.open(live, &sealed.bytes, Some(&key)).unwrap(), b"values");
    for i in 0..sealed.bytes.len() {
        let mut bad = sealed.bytes.clone();
        bad[i] ^= 1;
        assert!(v.open(live, &bad, Some(&key)).is_err(), "byte {i}");
    }
    for s in [scope(2, Mode::Test), scope(3, Mode::Live)] {
        assert!(v.open(s, &sealed.bytes, Some(&key)).is_err());
    }
    assert_eq!(v.open(live, &sealed.bytes, None).unwrap_err(), VaultError::Erased);
}

#[test]
fn a_key_travels_until_it_is_stored_and_a_forgotten_subject_gets_another() {
    let (v, _) = vault();
    let live = scope(2, Mode::Live);
    let first = v.seal(live, "ann", b"1").unwrap();
    let key = first.new_key.unwrap();
    assert_eq!(v.seal(live, "ann", b"2").unwrap().new_key.as_ref(), Some(&key));
    v.key_stored(live, &key);
    let third = v.seal(live, "ann", b"3").unwrap();
    assert!(third.new_key.is_none());
    assert_eq!(v.open(live, &third.bytes, Some(&key)).unwrap(), b"3");
    v.forget_subject(live, "ann");
    assert_ne!(v.seal(live, "ann", b"4").unwrap().new_key.unwrap().key_id, key.key_id);
}

#[test]
fn another_master_key_opens_nothing() {
    let (v, shelf) = vault();
    let fresh = scope(9, Mode::Live);
    let row = v.load_tenant(fresh, None).unwrap().unwrap();
    let blob = v.wrap_blob("signing", None, b"seed").unwrap();
    assert_eq!(v.unwrap_blob("signing", None, &blob).unwrap(), b"seed");
    assert!(v.unwrap_blob("other", None, &blob).is_err());
    let other = Vault::new(MasterKey::from_text(&"cd".repeat(32)).unwrap(), ids(), shelf);
    let err = other.load_tenant(fresh, Some(&row)).unwrap_err();
    assert!(err.to_string().contains("another master key"), "{err}");
}

#[test]
fn the_key_file_is_made_once_and_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let made = MasterKey::create(&path, &ids()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(MasterKey::create(&path, &ids()).is_err(), "never overwritten");
    MasterKey::load(&path).unwrap();
    assert_eq!(format!("{made:?}"), "MasterKey(redacted)");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(MasterKey::load(&path).unwrap_err().to_string().contains("chmod 600"));
    assert!(MasterKey::from_text("short").unwrap_err().to_string().contains("64 hexadecimal"));
}

#[test]
fn names_and_sizes_are_checked_and_values_never_repeated() {
    let (v, _) = vault();
    let live = scope(2, Mode::Live);
    for name in ["", "Token", "1a", "a-b", "a b"] {
        assert!(v.encrypt_secret(live, name, 1, b"CANARY").is_err_and(|e| !e.to_string().contains("CANARY")), "{name}");
    }
    assert!(v.encrypt_secret(live, "a", 1, b"").is_err());
    assert!(v.encrypt_secret(live, "a", 1, &vec![0; tollgate_vault::SECRET_MAX + 1]).is_err());
}
