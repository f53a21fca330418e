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

/// Runs the program with these variables and none of its own.
pub fn tollgate_env(env: &[(&str, &str)], args: &[&str]) -> Ran {
    let out = bare(env).args(args).stdin(Stdio::null()).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    Ran { code: out.status.code().unwrap_or(-1), out: text(out.stdout), err: text(out.stderr) }
}

fn bare(env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    for name in
        ["DATABASE_URL", "DATABASE_ADMIN_URL", "TOLLGATE_KEYS", "TOLLGATE_MASTER_KEY", "TOLLGATE_API_KEY", "TOLLGATE_URL", "WORKER_ID"]
    {
        command.env_remove(name);
    }
    command.envs(env.iter().copied());
    command
}

/// What a server answers, headers and all; none when nobody answers.
pub fn http(url: &Value, path: &str, key: &str) -> Option<String> {
    http_with(url, "GET", path, key, "")
}

/// The same of any method, with a body of JSON.
pub fn http_with(url: &Value, method: &str, path: &str, key: &str, body: &str) -> Option<String> {
    let host = url.as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n");
    let request = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// A command that runs until it is stopped, and says in its first line that it is ready.
pub struct Process {
    child: Child,
    /// That line.
    pub ready: Value,
    errors: Option<std::thread::JoinHandle<String>>,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Process {
    pub fn start(env: &[(&str, &str)], args: &[&str]) -> Self {
        let mut command = bare(env);
        command.args(args).env("RUST_LOG", "trace");
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
        let Ok(ready) = serde_json::from_str::<Value>(&line) else { panic!("it did not start: {line}{}", errors.join().unwrap()) };
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, ready, errors: Some(errors), rest: Some(rest) }
    }

    /// Sends it a signal.
    pub fn send(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; everything that it printed.
    pub fn end(&mut self) -> Ran {
        let status = self.child.wait().unwrap();
        let err = self.errors.take().unwrap().join().unwrap();
        let out = self.rest.take().unwrap().join().unwrap();
        Ran { code: status.code().unwrap_or(-1), out, err }
    }

    /// Sends it a signal and waits; everything that it printed.
    pub fn signal(&mut self, signal: rustix::process::Signal) -> Ran {
        self.send(signal);
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tollgate dev` under way.
pub struct Dev {
    process: Process,
    pub url: String,
}

impl Dev {
    fn start(root: &Path) -> Self {
        let root = root.to_str().unwrap();
        let process = Process::start(&[], &["--project", root, "--json", "dev", "--listen", "127.0.0.1:0"]);
        Self { url: process.ready["url"].as_str().unwrap().to_owned(), process }
    }

    /// Sends it a signal and waits; everything that it printed.
    pub fn signal(&mut self, signal: rustix::process::Signal) -> Ran {
        self.process.signal(signal)
    }

    pub fn stop(mut self) -> Ran {
        self.signal(rustix::process::Signal::TERM)
    }
}
