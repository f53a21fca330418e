//! A canary in every secret: whatever the program writes or answers is searched for it, in every form that a header or URL gives it.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::Value;

use super::support::Project;

const CANARIES: [&str; 4] = ["canary-bearer-7Qx/+z9", "canary-apikey-8Ry/+a1", "canary-basic-9Sz/+b2", "canary-hook-1Ta/+c3"];

/// An upstream that sends back whatever it was sent, with every kind of status.
fn parrot() -> SocketAddr {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
            let echo = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
                let status = match uri.path() {
                    p if p.ends_with("refuse") => StatusCode::FORBIDDEN,
                    p if p.ends_with("fail") => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::OK,
                };
                let sent: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
                let decoded: Vec<String> = sent
                    .iter()
                    .filter_map(|h| h.split_once("Basic "))
                    .filter_map(|(_, b)| String::from_utf8(BASE64.decode(b.as_bytes()).ok()?).ok())
                    .collect();
                let body = String::from_utf8_lossy(&body).into_owned();
                (status, axum::Json(serde_json::json!({"you_sent": sent, "which_means": decoded, "body": body})))
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, Router::new().fallback(echo)).await.unwrap();
        });
    });
    receive.recv().unwrap()
}

fn connector(name: &str, auth: &str, upstream: SocketAddr) -> String {
    let tool = |end: &str| {
        format!(
            "  {end}:\n    input: {{ type: object, required: [n], properties: {{ n: {{ type: integer }} }} }}\n    \
             request: {{ method: POST, url: \"http://{upstream}/${{args.n}}/{end}\", json: {{ n: \"${{args.n}}\" }}, timeout: 5s }}\n"
        )
    };
    let hook = "events: { webhook: { scheme: github, secret: hook, event_type: \"hook.${body.action}\" } }\n";
    let tools = ["echo", "refuse", "fail"].map(tool).concat();
    format!("kind: Connector\nname: {name}\nauth: {auth}\negress: {{ allow_private: [\"127.0.0.1\"] }}\n{hook}tools:\n{tools}---\n")
}

fn project(upstream: SocketAddr) -> Project {
    let p = Project::new();
    let auths = [
        ("b", "{ kind: bearer, secret: bearer }"),
        ("k", "{ kind: api_key, secret: apikey, header: X-Key }"),
        ("u", "{ kind: basic, username: ada, secret: basic }"),
        ("o", "{ kind: none }"),
    ];
    let mut specs: String = auths.iter().map(|(name, auth)| connector(name, auth, upstream)).collect();
    specs.push_str("kind: Operator\nname: all\non: [go]\npropose:\n");
    let mut policies = String::new();
    for (name, _) in auths {
        for end in ["echo", "refuse", "fail"] {
            specs.push_str(&format!(
                "  - tool: {name}.{end}\n    entity_key: \"{name}:{end}\"\n    idempotency_key: \"{name}:{end}\"\n    args: {{ n: 1 }}\n    \
                 continue: true\n    independent: true\n"
            ));
            policies.push_str(&format!(
                "@id(\"{name}-{end}\")\npermit (principal == Operator::\"all\", action == Action::\"{name}.{end}\", resource);\n"
            ));
        }
    }
    p.write("specs/canary.yaml", &specs);
    p.write("policies/canary.cedar", &policies);
    p
}

/// The forms in which a secret could be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let b = secret.as_bytes();
    let percent: String =
        b.iter().map(|c| if c.is_ascii_alphanumeric() || *c == b'-' { char::from(*c).to_string() } else { format!("%{c:02X}") }).collect();
    let texts = [secret.to_owned(), percent, HEXLOWER.encode(b), HEXUPPER.encode(b), BASE64_NOPAD.encode(b), BASE64URL_NOPAD.encode(b)];
    let basic = BASE64_NOPAD.encode(format!("ada:{secret}").as_bytes());
    texts.into_iter().chain([basic]).map(String::into_bytes).collect()
}

fn search(what: &str, bytes: &[u8]) {
    for secret in CANARIES {
        for form in forms(secret) {
            let found = bytes.windows(form.len()).any(|w| w == form);
            assert!(!found, "{what} holds `{}`", String::from_utf8_lossy(&form));
        }
    }
}

fn search_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_files(&path);
        } else {
            search(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

/// What the server says to everything that can be asked, an unsigned webhook among it.
fn answers(url: &str, root: &Path) -> Vec<(String, String)> {
    let keys: Value = serde_json::from_slice(&std::fs::read(root.join(".tollgate/keys.json")).unwrap()).unwrap();
    let key = keys["live"].as_str().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let description: Value = serde_json::from_str(&get(&client, &format!("{url}/openapi.json"), key).await).unwrap();
        let paths = description["paths"].as_object().unwrap().iter();
        let lists = paths.filter(|(path, methods)| methods.get("get").is_some() && !path.contains('{') && !path.contains("stream"));
        let mut all = Vec::new();
        for path in
            lists.map(|(path, _)| path.as_str()).chain(["/v1/receipts?kind=all&limit=100", "/v1/secrets/bearer", "/v1/connectors/b"])
        {
            all.push((path.to_owned(), get(&client, &format!("{url}{path}"), key).await));
        }
        for entry in
            serde_json::from_str::<Value>(&all.iter().find(|a| a.0.contains("kind=all")).unwrap().1).unwrap()["data"].as_array().unwrap()
        {
            let path = format!("/v1/receipts/{}", entry["id"].as_str().unwrap());
            all.push((path.clone(), get(&client, &format!("{url}{path}"), key).await));
        }
        let unsigned = client.post(format!("{url}/v1/hooks/b")).header("x-hub-signature-256", "sha256=00").body("{}").send().await.unwrap();
        assert_eq!(unsigned.status(), 401);
        all.push(("an unsigned webhook".to_owned(), unsigned.text().await.unwrap()));
        assert!(all.len() > 40, "{}", all.len());
        all
    })
}

async fn get(client: &reqwest::Client, url: &str, key: &str) -> String {
    let answer = client.get(url).bearer_auth(key).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.text().await.unwrap()
}

#[test]
fn no_secret_gets_out() {
    assert!(
        std::panic::catch_unwind(|| search("a text", format!("x {} y", CANARIES[0]).as_bytes())).is_err(),
        "the search finds what is there"
    );
    let p = project(parrot());
    let dev = p.dev();
    for (name, value) in ["bearer", "apikey", "basic", "hook"].iter().zip(CANARIES) {
        let said = p.run_with(&format!("{value}\n"), &["secrets", "set", name]).ok();
        search("the answer of `secrets set`", format!("{}{}", said.out, said.err).as_bytes());
    }
    p.run(&["events", "send", "go"]).ok();
    let settled = |v: &Value| v["data"][0]["action_count"] == 12 && v["data"][0]["state"] != "running" && v["data"][0]["state"] != "queued";
    let runs = p.until(&["--json", "runs", "list"], settled);
    let run = runs["data"][0]["id"].as_str().unwrap();
    let shown = p.run(&["--json", "runs", "show", run]).json();
    let dispositions: Vec<&str> = shown["actions"].as_array().unwrap().iter().map(|a| a["disposition"].as_str().unwrap()).collect();
    assert_eq!(dispositions, ["applied", "failed", "unknown"].repeat(4), "the calls were made");
    assert!(shown.to_string().contains("[redacted]"), "the parrot did send the secrets back");

    for (what, answer) in answers(&dev.url, &p.root()) {
        search(&what, answer.as_bytes());
    }
    let export = p.root().join("export.jsonl");
    p.run(&["receipts", "export", "-o", export.to_str().unwrap()]).ok();
    // While it runs: what is in the WAL counts, too.
    search_files(&p.root());
    let said = dev.stop();
    assert!(said.err.len() > 1000, "the log was on: {}", said.err);
    search("the log", said.err.as_bytes());
    search("the output", said.out.as_bytes());
    search_files(&p.root());
}
