//! Postgres stopped, started again, frozen, thawed and slow, while clients of two replicas are at work.
//! They are told what is the case or to come back later, and nothing that they were told is lost.

mod clients;
mod delays;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use remote_mcp_auth::CancellationToken;

use crate::support::{Answer, Launch, Program, Site, postgres::Postgres};

/// How soon everything has to work again.
const RECOVERY: Duration = Duration::from_secs(5);

/// Longer than the server waits for a step of the database.
const LONGER_THAN_ITS_PATIENCE: Duration = Duration::from_millis(5_500);

/// The longest that an answer takes: that patience, and some for a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);

/// No outage here is longer than this.
const NO_OUTAGE: Duration = Duration::from_secs(20);

/// What all clients share.
struct Load {
    replicas: [Site; 2],
    /// Clients end what they are doing, and then rest.
    over: CancellationToken,
    /// What each kind of client has achieved.
    achieved: Mutex<Vec<(&'static str, Arc<AtomicUsize>)>>,
    asked: AtomicUsize,
    told_to_come_back: AtomicUsize,
}

impl Load {
    fn on(replicas: [Site; 2]) -> Self {
        Self {
            replicas,
            over: CancellationToken::new(),
            achieved: Mutex::default(),
            asked: AtomicUsize::new(0),
            told_to_come_back: AtomicUsize::new(0),
        }
    }

    /// Where a kind of client counts what it has achieved.
    fn counting(&self, kind: &'static str) -> Arc<AtomicUsize> {
        let counter = Arc::new(AtomicUsize::new(0));
        let mut achieved = self.achieved.lock().unwrap();
        achieved.push((kind, Arc::clone(&counter)));
        counter
    }

    /// Any of the replicas, as a load balancer would choose.
    fn replica(&self) -> &Site {
        &self.replicas[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
    }

    /// Asks once: this answer, or to come back later. Nothing else, whatever becomes of the database.
    async fn ask<F>(&self, expected: u16, ask: impl Fn(Site) -> F + Send + Sync) -> Option<Answer>
    where
        F: Future<Output = Answer> + Send,
    {
        let begun = Instant::now();
        let answer = ask(self.replica().clone()).await;
        assert!(begun.elapsed() < ANSWERED_WITHIN, "{:?}", begun.elapsed());
        if answer.status != 503 {
            return Some(answer.expect(expected));
        }
        answer.retry_after();
        self.told_to_come_back.fetch_add(1, Ordering::Relaxed);
        // Less patient than it should be.
        tokio::time::sleep(Duration::from_millis(50)).await;
        None
    }

    /// Asks until there is an answer.
    async fn insist<F>(&self, expected: u16, ask: impl Fn(Site) -> F + Send + Sync) -> Answer
    where
        F: Future<Output = Answer> + Send,
    {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.ask(expected, &ask).await {
                return answer;
            }
            assert!(begun.elapsed() < NO_OUTAGE, "it does not come back");
        }
    }

    /// Every kind of client gets something done, soon.
    fn goes_on_after(&self, event: &str) {
        let begun = Instant::now();
        for (kind, counter) in &*self.achieved.lock().unwrap() {
            let before = counter.load(Ordering::Relaxed);
            // What had begun before may end now, and the one after that has begun since.
            while counter.load(Ordering::Relaxed) < before + 2 {
                assert!(begun.elapsed() < RECOVERY, "{kind}: nothing after {event}");
                sleep(Duration::from_millis(5));
            }
        }
        println!("everything works {:?} after {event}", begun.elapsed());
    }
}

/// What happens to the database. Clients rest when it is over, however it ends.
fn weather(mut postgres: Postgres, load: &Load) -> Postgres {
    let _over = load.over.clone().drop_guard();
    load.goes_on_after("the beginning");

    postgres.stop();
    sleep(Duration::from_secs(1));
    postgres.start_again();
    load.goes_on_after("a restart");

    postgres.freeze();
    sleep(LONGER_THAN_ITS_PATIENCE);
    postgres.thaw();
    load.goes_on_after("having been frozen");

    for _ in 0..4 {
        postgres.freeze();
        sleep(Duration::from_millis(400));
        postgres.thaw();
        sleep(Duration::from_millis(50));
    }
    load.goes_on_after("having been slow");
    postgres
}

fn start(database: &str) -> (Program, Site) {
    let program = Launch::serving()
        .env("PUBLIC_URL", "https://mcp.example.com")
        .env("DATABASE_URL", database)
        .env("RATE_LIMITS", "off")
        .start();
    let site = program.site();
    (program, site)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_the_truth_or_to_come_back_and_lose_nothing() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.database().await;
    let ((_one, here), (_other, there)) = (start(&url), start(&url));
    let load = Arc::new(Load::on([here, there]));
    let clients = clients::Clients::connect(&load).await;
    let weather = thread::spawn({
        let load = Arc::clone(&load);
        move || weather(postgres, &load)
    });
    let promised = Box::pin(clients.work(&load)).await;
    let _postgres = weather.join().expect("everything works again");
    promised.check(&load).await;
    let asked = load.asked.load(Ordering::Relaxed);
    let told_to_come_back = load.told_to_come_back.load(Ordering::Relaxed);
    println!("{asked} requests, {told_to_come_back} of them told to come back");
    assert!(told_to_come_back > 0, "nobody noticed anything");
}
