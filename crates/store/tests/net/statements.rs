//! Every statement of the source is prepared where it runs.

use rusqlite::Connection;

use crate::base::{connect, database, sqlite};
use crate::source::{On, numbers, parameters, statements};

#[tokio::test]
async fn every_statement_is_prepared_on_its_engines() {
    let all = statements();
    let on = |which: On| all.iter().filter(|s| s.on == which).count();
    assert!(on(On::Sqlite) > 50 && on(On::Postgres) > 30 && on(On::Both) > 30, "the source was not read: {}", all.len());
    let db = database().await;
    let postgres = connect(&db.serve()).await;
    let embedded: Connection = sqlite();
    let mut wrong = Vec::new();
    for s in &all {
        let place = format!("{}:{}", s.file, s.line);
        if s.on != On::Postgres
            && let Err(e) = embedded.prepare(&s.text)
        {
            wrong.push(format!("{place}: SQLite: {e}: {}", s.text));
        }
        if s.on == On::Sqlite {
            continue;
        }
        let mut forms = vec![s.text.clone()];
        let changes = ["INSERT", "UPDATE", "DELETE"].iter().any(|w| s.text.starts_with(w)) && !s.text.contains("RETURNING");
        if changes && s.on == On::Postgres {
            let next = parameters(&s.text) + 1;
            forms.push(format!("WITH x AS ({} RETURNING 1) SELECT expect(count(*), ${next}) FROM x", s.text));
        }
        for form in forms {
            if let Err(e) = postgres.prepare(&form).await {
                wrong.push(format!("{place}: Postgres: {}: {form}", e.as_db_error().map_or_else(|| e.to_string(), ToString::to_string)));
            }
        }
        // SQLite numbers them as they come.
        let mut seen = 0;
        for n in numbers(&s.text) {
            if s.on == On::Both && n > seen + 1 {
                wrong.push(format!("{place}: ${n} comes before ${}", seen + 1));
            }
            seen = seen.max(n);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(postgres);
    db.remove().await.unwrap();
}
