//! Reads the status of every role at each interval.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::endpoint::Endpoint;
use causeway_api::status::Status;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The result of one reading.
pub struct Reading {
    /// The index of the endpoint.
    pub index: usize,
    /// The time of the answer.
    pub at: Instant,
    /// The status, or an error in one line.
    pub answer: Result<Status, String>,
}

/// Reads all endpoints now and at each interval, until the receiver is dropped.
pub fn start(endpoints: &[Endpoint], every: Duration) -> Receiver<Reading> {
    let (sender, readings) = channel(endpoints.len());
    for (index, endpoint) in endpoints.iter().enumerate() {
        tokio::spawn(poll(index, endpoint.clone(), every, sender.clone()));
    }
    readings
}

async fn poll(index: usize, endpoint: Endpoint, every: Duration, sender: Sender<Reading>) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let answer = read(&endpoint).await;
        let at = Instant::now();
        let reading = Reading { index, at, answer };
        if sender.send(reading).await.is_err() {
            return;
        }
    }
}

/// Reads an endpoint once.
pub async fn read(endpoint: &Endpoint) -> Result<Status, String> {
    match timeout(TIMEOUT, endpoint.status()).await {
        Ok(answer) => answer.map_err(|error| format!("{error:#}").replace('\n', " ")),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}
