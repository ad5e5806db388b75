//! Asks every role again and again.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::endpoint::Endpoint;
use crate::status::Status;

/// A role that does not answer within this time is gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of asking.
pub struct Heard {
    /// The place of the endpoint.
    pub place: usize,
    /// When the answer was there.
    pub at: Instant,
    /// Or what went wrong, in one line.
    pub answer: Result<Status, String>,
}

/// Asks all endpoints now and each so often until the receiver is dropped.
pub fn start(endpoints: &[Endpoint], every: Duration) -> Receiver<Heard> {
    let (tell, heard) = channel(endpoints.len());
    for (place, endpoint) in endpoints.iter().enumerate() {
        tokio::spawn(follow(place, endpoint.clone(), every, tell.clone()));
    }
    heard
}

async fn follow(place: usize, endpoint: Endpoint, every: Duration, tell: Sender<Heard>) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let answer = ask(&endpoint).await;
        let at = Instant::now();
        let heard = Heard { place, at, answer };
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}

/// Asks once.
pub async fn ask(endpoint: &Endpoint) -> Result<Status, String> {
    match timeout(PATIENCE, endpoint.ask()).await {
        Ok(answer) => answer.map_err(|error| format!("{error:#}").replace('\n', " ")),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
