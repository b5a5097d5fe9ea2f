//! The `dig` commands in the documentation print what the documentation says,
//! asked of the example that the page is about, and the `watershed serve`
//! commands start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use watershed_checks::markdown::{self, Page};
use watershed_checks::{binary, tree};

/// The port of the commands in the documentation.
const DOCUMENTED_PORT: &str = "5300";
/// Long enough for a slow machine; a failing start is seen at once.
const START: Duration = Duration::from_mins(1);

#[test]
fn documented_queries_get_the_documented_answers() -> Result<()> {
    let mut asked = 0;
    for path in tree::files_with(&tree::root(), "md")? {
        let queries = Page::parse(&fs::read_to_string(&path)?).commands("dig");
        if queries.is_empty() {
            continue;
        }
        let server = Server::start(&served_by(&path))?;
        for query in &queries {
            let (words, printed) = (query.words.join(" "), server.ask(query)?);
            assert_eq!(printed, query.output, "{}: {words}", tree::relative(&path));
            asked += 1;
        }
    }
    ensure!(
        asked > 5,
        "only {asked} queries found: are the `console` blocks still there?"
    );
    Ok(())
}

#[test]
fn documented_servers_start() -> Result<()> {
    let mut started = 0;
    for path in tree::files_with(&tree::root(), "md")? {
        let commands = Page::parse(&fs::read_to_string(&path)?).commands("watershed");
        for command in commands
            .iter()
            .filter(|c| c.words.get(1).is_some_and(|w| w == "serve"))
        {
            Server::run(&command.words).with_context(|| tree::relative(&path))?;
            started += 1;
        }
    }
    ensure!(started > 1, "only {started} servers found in the pages");
    Ok(())
}

/// The example that a page is about: its own directory, or the first one.
fn served_by(page: &Path) -> String {
    let directory = page.parent().map(tree::relative).unwrap_or_default();
    if directory.starts_with("examples/") {
        directory
    } else {
        "examples/getting-started".into()
    }
}

/// `watershed serve` on a free port of the loopback, stopped when dropped.
struct Server {
    process: Child,
    port: String,
    _state: tempfile::TempDir,
}

impl Server {
    /// Serves a directory.
    fn start(directory: &str) -> Result<Self> {
        Self::run(&["watershed", "serve", directory].map(str::to_owned))
    }

    /// Starts it by a command, but on a port of its own, and returns once it says
    /// how to ask it.
    fn run(words: &[String]) -> Result<Self> {
        let port = UdpSocket::bind("127.0.0.1:0")?
            .local_addr()?
            .port()
            .to_string();
        let state = tempfile::tempdir()?;
        let mut process = binary::watershed()?
            .args(without_listen(words))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--state"])
            .arg(state.path())
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()?;
        let said = process.stdout.take().context("no standard output")?;
        let server = Self {
            process,
            port,
            _state: state,
        };
        let (ready, is_ready) = mpsc::channel();
        // Reads to the end, so that the server never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if line.contains("dig ") {
                    let _ = ready.send(());
                }
            }
        });
        is_ready
            .recv_timeout(START)
            .with_context(|| format!("`{}` serves nothing", words.join(" ")))?;
        Ok(server)
    }

    /// The lines that the command prints.
    fn ask(&self, query: &markdown::Command) -> Result<Vec<String>> {
        let words = query.words.iter().skip(1);
        let words = words.map(|w| if w == DOCUMENTED_PORT { &self.port } else { w });
        let output = match Command::new("dig").args(words).output() {
            Ok(output) => output,
            Err(error) => bail!("dig: {error}; install it: apt-get install bind9-dnsutils"),
        };
        let lines = String::from_utf8(output.stdout)?;
        Ok(lines.lines().map(str::to_owned).collect())
    }
}

/// The arguments without `--listen` and its value.
fn without_listen(words: &[String]) -> Vec<&String> {
    let at = words.iter().position(|word| word == "--listen");
    let kept = words.iter().enumerate().skip(1);
    let kept = kept.filter(|(index, _)| at.is_none_or(|at| *index != at && *index != at + 1));
    kept.map(|(_, word)| word).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
