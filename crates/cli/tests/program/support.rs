//! The program started and asked, as a person or a script would.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// How a command ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    pub fn json(self) -> Value {
        let ran = self.ok();
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out))
    }
}

/// Runs the program with text on its standard input.
pub fn tollgate_with(input: &str, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let piped = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.env_remove("TOLLGATE_API_KEY").env_remove("TOLLGATE_URL").spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    Ran { code: out.status.code().unwrap_or(-1), out: text(out.stdout), err: text(out.stderr) }
}

/// Runs the program.
pub fn tollgate(args: &[&str]) -> Ran {
    tollgate_with("", args)
}

/// A project folder; gone at the end.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// What `init` makes.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        tollgate(&["init", folder.path().join("p").to_str().unwrap(), "--name", "p"]).ok();
        Self { folder }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("p")
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root().join(path), text).unwrap();
    }

    /// A command over this project.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with("", args)
    }

    pub fn run_with(&self, input: &str, args: &[&str]) -> Ran {
        let root = self.root();
        let all: Vec<&str> = ["--project", root.to_str().unwrap()].iter().chain(args).copied().collect();
        tollgate_with(input, &all)
    }

    /// Asks again until an answer fits: the worker takes its time, and no test says how much.
    pub fn until(&self, args: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2000 {
            let answer = self.run(args).json();
            if fits(&answer) {
                return answer;
            }
        }
        panic!("{args:?} never fitted: {}", self.run(args).out);
    }

    pub fn dev(&self) -> Dev {
        Dev::start(&self.root())
    }
}

/// `tollgate dev` under way.
pub struct Dev {
    child: Child,
    pub url: String,
    errors: Option<std::thread::JoinHandle<String>>,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Dev {
    fn start(root: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("--project").arg(root).args(["--json", "dev", "--listen", "127.0.0.1:0"]).env("RUST_LOG", "trace");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else { panic!("`dev` did not start: {line}{}", errors.join().unwrap()) };
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, url: ready["url"].as_str().unwrap().to_owned(), errors: Some(errors), rest: Some(rest) }
    }

    /// Sends it a signal and waits; everything that it printed.
    pub fn signal(&mut self, signal: rustix::process::Signal) -> Ran {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
        let status = self.child.wait().unwrap();
        let err = self.errors.take().unwrap().join().unwrap();
        let out = self.rest.take().unwrap().join().unwrap();
        Ran { code: status.code().unwrap_or(-1), out, err }
    }

    pub fn stop(mut self) -> Ran {
        self.signal(rustix::process::Signal::TERM)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
