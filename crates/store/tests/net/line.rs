//! News between processes: a line that breaks is made again, and whoever hears is told that something may have been missed.

use tokio::sync::mpsc::unbounded_channel;
use tollgate_store::{Committed, Heard, Login, PgOptions, PgStore, Role};

use crate::base::{connect, database, rows};

#[tokio::test]
async fn a_line_that_breaks_is_made_again_and_says_that_news_may_have_been_missed() {
    let db = database().await;
    let login = Login::parse(&db.worker()).unwrap();
    let options = PgOptions { login, role: Role::Worker, readers: 1, clock: None, inline: None, on_commit: Box::new(|_| {}) };
    let store = PgStore::open(options).await.unwrap();
    let (tell, mut hears) = unbounded_channel();
    store.listen(move |heard| drop(tell.send(heard)));
    assert_eq!(hears.recv().await, Some(Heard::Up));
    let admin = connect(&db.admin()).await;
    let news = Committed { steps: true, events: true, ..Committed::default() };
    for _ in 0..2 {
        admin.batch_execute("NOTIFY tollgate, 'se'").await.unwrap();
        assert_eq!(hears.recv().await, Some(Heard::News(news)));
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%LISTEN tollgate'";
        assert_eq!(rows(&admin, ended).await, [["1"]]);
        assert!(matches!(hears.recv().await, Some(Heard::Down(_))));
        assert_eq!(hears.recv().await, Some(Heard::Up), "it is back, and everything is to be looked at");
    }
    drop(store);
    db.remove().await.unwrap();
}
