//! The layer as the default of a process: a process of its own, since a default is for all databases of one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use rusqlite::Connection;

#[test]
fn databases_that_name_no_layer_go_through_it() {
    let dir = tempfile::tempdir().unwrap();
    tollgate_lossy::register(3).unwrap();
    let before = Connection::open(dir.path().join("before.db")).unwrap();
    before.execute_batch("CREATE TABLE t (n)").unwrap();
    assert_eq!(tollgate_lossy::held_back(), 0, "registered, but not the default");

    tollgate_lossy::register_as_default(3).unwrap();
    let db = Connection::open(dir.path().join("after.db")).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
    assert!(tollgate_lossy::held_back() > 0);
    assert_eq!(db.query_row("SELECT n FROM t", [], |r| r.get(0)), Ok(1));

    tollgate_lossy::lie();
    db.execute_batch("PRAGMA synchronous = FULL").unwrap();
    for _ in 0..60 {
        db.execute_batch("INSERT INTO t VALUES (zeroblob(3000))").unwrap();
    }
    assert_eq!(db.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)), Ok(61));
    let left = dir.path().join("left.db");
    std::fs::copy(dir.path().join("after.db"), &left).unwrap();
    let honest = rusqlite::OpenFlags::default();
    let kept = Connection::open_with_flags_and_vfs(left, honest, "unix").unwrap();
    assert_ne!(kept.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)), Ok(61), "what a lying disk said it kept is gone");
}
