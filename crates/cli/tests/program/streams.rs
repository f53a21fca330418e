//! Streams over one Postgres: what one process commits another tells, and whoever loses one process goes on at another.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use super::processes::Shared;
use super::support::http;

/// One event of a stream: its id, its name, its data.
type Told = (String, String, Value);

/// A stream that is open.
struct Stream(BufReader<Box<dyn Read>>);

impl Stream {
    fn open(url: &Value, path: &str, key: &str, last: Option<&str>) -> Self {
        let host = url.as_str().unwrap().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        // HTTP/1.0: what comes is not chunked.
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n{last}\r\n").unwrap();
        let mut reader = BufReader::new(Box::new(stream) as Box<dyn Read>);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self(reader)
    }
}

impl Iterator for Stream {
    type Item = Told;

    /// The next event; none when the stream is closed.
    fn next(&mut self) -> Option<Told> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut line = String::new();
        while self.0.read_line(&mut line).ok()? > 0 {
            match line.trim_end().split_once(": ") {
                Some((name, value)) if !name.is_empty() => drop(fields.insert(name.to_owned(), value.to_owned())),
                None if line.trim_end().is_empty() && fields.contains_key("data") => {
                    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
                    let data = serde_json::from_str(&take("data")).unwrap();
                    return Some((take("id"), take("event"), data));
                }
                _ => {}
            }
            line.clear();
        }
        None
    }
}

/// What a stream told, without the time that it took.
fn types(told: &[Told]) -> Vec<&str> {
    told.iter().filter_map(|(_, _, data)| data["type"].as_str()).collect()
}

#[test]
fn what_one_process_commits_another_tells_and_a_third_goes_on_with() {
    let it = Shared::new();
    let (mut near, mut far) = (it.serve(), it.serve_beside());
    let (key, urls) = (it.key(), [near.ready["url"].clone(), far.ready["url"].clone()]);
    let mut live = Stream::open(&urls[1], "/v1/stream", &key, None);
    let mut events = Stream::open(&urls[1], "/v1/events/stream?event_type=demo.*", &key, None);
    it.project.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    let (_, _, event) = events.next().unwrap();
    assert_eq!((event["event_type"].as_str(), event["payload"]["name"].as_str()), (Some("demo.hello"), Some("Ada")), "{event}");
    // The run waits for its worker, and the first of it is told.
    let first = live.next().unwrap();
    assert_eq!(first.2["type"], "run.queued", "{first:?}");
    let mut worker = it.worker();
    let run = format!("/v1/runs/{}/stream", first.2["run_id"].as_str().unwrap());
    let whole: Vec<Told> = Stream::open(&urls[1], &run, &key, None).collect();
    let (_, name, end) = whole.last().unwrap();
    assert_eq!((name.as_str(), end["state"].as_str()), ("end", Some("succeeded")), "{whole:?}");
    let again: Vec<Told> = Stream::open(&urls[0], &run, &key, None).collect();
    assert_eq!(again, whole, "the same from every process");
    assert!(types(&whole).ends_with(&["run.succeeded"]) && types(&whole).contains(&"action.done"), "{whole:?}");

    // The process that tells it goes away in the middle; from the last id on the other tells the rest.
    let mut heard = vec![first, live.next().unwrap()];
    let ended = far.signal(Signal::TERM);
    assert_eq!(ended.code, 0, "{}", ended.err);
    heard.extend(live);
    let last = heard.last().unwrap().0.clone();
    it.project.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Bob"}"#]).ok();
    let mut rest = Stream::open(&urls[0], "/v1/stream", &key, Some(&last));
    while types(&heard).iter().filter(|t| **t == "run.succeeded").count() < 2 {
        heard.push(rest.next().unwrap());
    }
    let all: Vec<Told> = Stream::open(&urls[0], "/v1/stream?follow=false", &key, None).collect();
    assert_eq!(heard, all, "nothing was skipped, and nothing told twice");
    let wrong = http(&urls[0], "/v1/stream?after=elsewhere", &key).unwrap();
    assert!(wrong.contains(" 400 ") && wrong.contains("invalid_cursor"), "{wrong}");
    drop(rest);
    assert_eq!([&mut worker, &mut near].map(|p| p.signal(Signal::TERM).code), [0, 0]);
}
