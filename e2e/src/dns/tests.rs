//! The load against a server that does what the test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What the server does with its nth query.
#[derive(Clone, Copy)]
enum Act {
    Answer(u8),
    Drop,
    Refuse,
    Repeat,
    /// After the answer to the next question.
    Late(u8),
}

/// A server until it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(act: impl Fn(usize) -> Act + Send + 'static) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let task = tokio::spawn(async move {
            let mut buffer = [0; 512];
            let mut kept = Vec::new();
            for number in 0.. {
                let (size, client) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..size]).unwrap();
                let act = act(number);
                let now = answers(&query, act);
                let late = std::mem::take(&mut kept);
                let now = match act {
                    Act::Late(_) => {
                        kept = now;
                        late
                    }
                    _ => now.into_iter().chain(late).collect(),
                };
                for answer in now {
                    socket.send_to(&answer, client).await.unwrap();
                }
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answers(query: &Message, act: Act) -> Vec<Vec<u8>> {
    let mut answer = query.clone().into_response();
    let address = |octet| RData::A(A(Ipv4Addr::new(192, 0, 2, octet)));
    let mut add = |octet| {
        let name = query.queries[0].name.clone();
        answer.add_answer(Record::from_rdata(name, 60, address(octet)));
    };
    let count = match act {
        Act::Answer(octet) | Act::Late(octet) => {
            add(octet);
            1
        }
        Act::Repeat => {
            add(1);
            2
        }
        Act::Refuse => {
            answer.metadata.response_code = ResponseCode::Refused;
            1
        }
        Act::Drop => 0,
    };
    vec![answer.to_vec().unwrap(); count]
}

/// Loads a server for a hundred queries.
async fn load(
    act: impl Fn(usize) -> Act + Send + 'static,
) -> Result<(Report, SocketAddr, Question)> {
    let server = Server::start(act).await?;
    let question = Question::new("www.example.com", "A")?;
    let options = LoadOptions::new(&[server.address], std::slice::from_ref(&question))
        .rate(500)
        .timeout(SECOND / 4);
    let load = QueryLoad::start(options).await?;
    load.more(100, SECOND * 10).await?;
    Ok((load.stop().await?, server.address, question))
}

#[tokio::test]
async fn one_question_has_one_answer() -> Result<()> {
    let server = Server::start(|_| Act::Answer(7)).await?;
    let question = Question::new("www.example.com", "A")?.from_subnet("198.51.100.0/24")?;
    let reply = ask(server.address, &question, SECOND).await?;
    assert_eq!(reply.values(), ["192.0.2.7"]);
    assert_eq!(reply.summary(), "NoError www.example.com. A 192.0.2.7");
    assert_eq!(reply.scope, Some(0));
    Ok(())
}

#[tokio::test]
async fn silence_is_an_error_that_names_server_and_question() -> Result<()> {
    let server = Server::start(|_| Act::Drop).await?;
    let question = Question::new("www.example.com", "AAAA")?;
    let error = ask(server.address, &question, SECOND / 10)
        .await
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("www.example.com. AAAA"), "{error}");
    assert!(error.contains(&server.address.to_string()), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_load_without_fault_is_clean() -> Result<()> {
    let (report, server, question) = load(|_| Act::Answer(1)).await?;
    report.clean()?;
    assert_eq!(report.sent, report.answered);
    assert_eq!(report.runs(server, &question).len(), 1);
    Ok(())
}

#[tokio::test]
async fn each_lost_answer_counts() -> Result<()> {
    let lost = |number| number == 20 || number == 21;
    let (report, ..) = load(move |number| {
        if lost(number) {
            Act::Drop
        } else {
            Act::Answer(1)
        }
    })
    .await?;
    assert_eq!(report.faulty, 2, "{report}");
    assert_eq!(report.sent, report.answered + 2);
    assert!(report.clean().unwrap_err().to_string().contains("lost"));
    Ok(())
}

#[tokio::test]
async fn each_wrong_answer_counts() -> Result<()> {
    let (report, ..) = load(|number| match number {
        10 => Act::Refuse,
        30 => Act::Repeat,
        _ => Act::Answer(1),
    })
    .await?;
    let faults: Vec<_> = report
        .faults
        .iter()
        .map(|fault| fault.what.as_str())
        .collect();
    assert_eq!(faults, ["no data: Refused", "an answer too late, or twice"]);
    Ok(())
}

#[tokio::test]
async fn a_switch_makes_two_runs_and_a_relapse_more() -> Result<()> {
    let (report, server, question) =
        load(|number| Act::Answer(if number < 50 { 1 } else { 2 })).await?;
    let runs = report.runs(server, &question);
    assert_eq!(runs.iter().map(|run| run.count).next(), Some(50));
    assert_eq!(runs.len(), 2);
    let (report, server, question) =
        load(|number| Act::Answer(if number == 50 { 2 } else { 1 })).await?;
    assert_eq!(report.runs(server, &question).len(), 3);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_overtaken_is_no_relapse() -> Result<()> {
    let (report, server, question) = load(|number| match number {
        0..49 => Act::Answer(1),
        49 => Act::Late(1),
        _ => Act::Answer(2),
    })
    .await?;
    let runs = report.runs(server, &question);
    assert_eq!(runs.iter().map(|run| run.count).next(), Some(50));
    assert_eq!(runs.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_loses_all() -> Result<()> {
    let address = crate::ports::free_address()?;
    let question = Question::new("www.example.com", "A")?;
    let options = LoadOptions::new(&[address], &[question]).timeout(SECOND / 10);
    let load = QueryLoad::start(options).await?;
    tokio::time::sleep(SECOND / 5).await;
    let report = load.stop().await?;
    assert!(report.sent > 10, "{report}");
    assert_eq!(report.faulty, report.sent);
    Ok(())
}
