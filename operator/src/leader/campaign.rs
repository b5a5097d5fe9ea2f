//! Carries out what a candidate asks for.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::candidate::{Action, Candidate, Loss, Purpose, Write};
use super::guard::Guard;
use super::store::{Failure, LeaseStore};
use super::{LeaderConfig, Role};

/// What a replica is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Not to lead for now.
    Resign,
    /// To end.
    Stop,
}

/// A replica at work.
struct Campaign {
    candidate: Candidate,
    store: Arc<dyn LeaseStore>,
    commands: mpsc::UnboundedReceiver<Command>,
    role: watch::Sender<Role>,
    guard: Guard,
    /// Whether the last request failed.
    failing: bool,
}

/// Takes part until told to stop.
pub(super) async fn campaign(
    config: LeaderConfig,
    store: Arc<dyn LeaseStore>,
    commands: mpsc::UnboundedReceiver<Command>,
    role: watch::Sender<Role>,
    guard: Guard,
) {
    let mut campaign = Campaign {
        candidate: Candidate::new(config, Instant::now()),
        store,
        commands,
        role,
        guard,
        failing: false,
    };
    while campaign.step().await {}
}

impl Campaign {
    /// Does one thing; false: there is nothing more to do.
    async fn step(&mut self) -> bool {
        let action = self.candidate.next(Instant::now(), Timestamp::now());
        self.publish();
        match action {
            Action::Read(within) => self.read(within).await,
            Action::Write(write) => self.write(write).await,
            Action::Wait(until) => {
                let waited = tokio::time::sleep_until(until.into());
                let command = or_command(waited, &mut self.commands).await.err();
                self.heed(command);
            }
            Action::Done => return false,
        }
        true
    }

    async fn read(&mut self, within: Duration) {
        let store = Arc::clone(&self.store);
        let request = in_time(store.read(), within);
        let (result, command) = answer(request, &mut self.commands).await;
        self.note(result.as_ref().err());
        self.candidate.read(Instant::now(), result);
        self.heed(command);
    }

    async fn write(&mut self, write: Write) {
        let store = Arc::clone(&self.store);
        let began = Instant::now();
        let request = store.write(&write.lease, write.version.as_deref());
        let request = in_time(request, write.within);
        let (result, command) = answer(request, &mut self.commands).await;
        self.note(result.as_ref().err());
        if write.purpose == Purpose::Release && result.is_ok() {
            tracing::info!("released the lease");
        }
        let now = Instant::now();
        self.candidate.written(write, began, now, result);
        self.heed(command);
    }

    fn heed(&mut self, command: Option<Command>) {
        let now = Instant::now();
        match command {
            Some(Command::Resign) => self.candidate.resign(now),
            Some(Command::Stop) => self.candidate.stop(now),
            None => {}
        }
    }

    /// Says once that requests fail, and once that they do no longer.
    fn note(&mut self, failure: Option<&Failure>) {
        match failure {
            Some(Failure::Unknown(error)) if !self.failing => {
                self.failing = true;
                tracing::warn!(error, "cannot reach the lease");
            }
            Some(failure) => tracing::debug!(error = %failure, "a request for the lease failed"),
            None if self.failing => {
                self.failing = false;
                tracing::info!("the lease can be reached again");
            }
            None => {}
        }
    }

    /// The guard first: it must end before anybody hears of another role, and
    /// hold before anybody hears that this replica leads.
    fn publish(&mut self) {
        self.guard.hold(self.candidate.until());
        let role = self.candidate.role(Instant::now());
        let former = self.role.borrow().clone();
        if role == former {
            return;
        }
        match (&former, &role, self.candidate.loss()) {
            (Role::Leading { term }, Role::Following { .. }, Some(Loss::GivenUp)) => {
                tracing::info!(
                    term = term.0,
                    "this replica leads no longer, as it was told"
                );
            }
            (Role::Leading { term }, Role::Following { .. }, Some(why)) => {
                tracing::warn!(term = term.0, %why, "this replica no longer leads");
            }
            (_, Role::Leading { term }, _) => tracing::info!(term = term.0, "this replica leads"),
            (_, Role::Following { leader }, _) => {
                tracing::info!(leader, "this replica follows");
            }
        }
        self.role.send_replace(role);
    }
}

/// What came of a request. A command does not wait for it: then it is not
/// known what it did.
async fn answer<T>(
    request: impl Future<Output = Result<T, Failure>>,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> (Result<T, Failure>, Option<Command>) {
    match or_command(request, commands).await {
        Ok(result) => (result, None),
        Err(command) => {
            let cut = Failure::Unknown("it was not waited for".to_owned());
            (Err(cut), Some(command))
        }
    }
}

async fn or_command<T>(
    work: impl Future<Output = T>,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Result<T, Command> {
    tokio::select! {
        biased;
        // Nobody can command any more: nobody needs a leader either.
        command = commands.recv() => Err(command.unwrap_or(Command::Stop)),
        result = work => Ok(result),
    }
}

async fn in_time<T>(
    request: impl Future<Output = Result<T, Failure>>,
    within: Duration,
) -> Result<T, Failure> {
    let silent = || Failure::Unknown(format!("no answer within {within:.1?}"));
    let answered = tokio::time::timeout(within, request).await;
    answered.unwrap_or_else(|_| Err(silent()))
}

#[cfg(test)]
mod tests {
    use watershed_snapshot::Term;

    use super::super::{Election, MemoryLease};
    use super::*;

    fn config(identity: &str) -> LeaderConfig {
        LeaderConfig {
            namespace: "watershed-system".to_owned(),
            name: "watershed-operator".to_owned(),
            identity: identity.to_owned(),
            address: format!("{identity}.example.com:8443"),
            duration: Duration::from_secs(15),
        }
    }

    fn start(lease: &MemoryLease, identity: &str) -> Election {
        Election::on(Arc::new(lease.clone()), config(identity))
    }

    async fn until_role(election: &mut Election, is: impl Fn(&Role) -> bool) -> Role {
        let role = election.role.wait_for(|role| is(role));
        let role = tokio::time::timeout(Duration::from_mins(1), role).await;
        role.expect("in time").expect("it runs").clone()
    }

    #[tokio::test]
    async fn the_lease_goes_from_one_to_the_next_without_a_wait() {
        let lease = MemoryLease::default();
        let mut first = start(&lease, "a");
        let led = until_role(&mut first, Role::leads).await;
        assert_eq!(led, Role::Leading { term: Term(1) });
        assert!(first.guard.holds());

        let mut second = start(&lease, "b");
        let address = Some("a.example.com:8443".to_owned());
        let followed = until_role(&mut second, |role| {
            *role
                == Role::Following {
                    leader: address.clone(),
                }
        });
        followed.await;
        assert!(!second.guard.holds());

        let guard = first.guard.clone();
        first.end().await;
        assert!(!guard.holds());
        let left = lease.found().expect("a lease").lease;
        assert_eq!((left.holder.as_str(), left.duration.as_secs()), ("", 1));
        let led = until_role(&mut second, Role::leads).await;
        assert_eq!(led, Role::Leading { term: Term(2) });
    }

    #[tokio::test]
    async fn a_leader_that_resigns_writes_no_more_at_once() {
        let lease = MemoryLease::default();
        let quick = LeaderConfig {
            duration: Duration::from_secs(6),
            ..config("a")
        };
        let mut only = Election::on(Arc::new(lease), quick);
        until_role(&mut only, Role::leads).await;
        only.resigner()();
        assert!(!only.guard.holds());
        until_role(&mut only, |role| !role.leads()).await;
        let led = until_role(&mut only, Role::leads).await;
        assert_eq!(led, Role::Leading { term: Term(2) }, "after a pause");
    }
}
