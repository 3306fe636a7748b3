//! What happens, told to whoever listens, as Docker's `/events`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::time::Timestamp;

/// How many events a slow listener may fall behind before it misses some.
const BACKLOG: usize = 1024;
/// How many past events are kept, as Docker keeps them: in memory.
const KEPT: usize = 256;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container` or `image`.
    pub kind: &'static str,
    /// `create`, `start`, `die`, `exec_create: sh`, …
    pub action: String,
    /// To whom: an id.
    pub actor: String,
    /// Name, image, labels, `exitCode`, …
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Which events a listener wants. Without a bound there are none of the past, and no end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The last one.
    pub until: Option<Timestamp>,
}

impl Window {
    fn of_the_past(self, event: &Event) -> bool {
        self.since.is_none_or(|since| since <= event.time)
            && self.until.is_none_or(|until| event.time <= until)
    }
}

/// Where events are told.
#[derive(Clone, Debug)]
pub(crate) struct EventBus {
    listeners: broadcast::Sender<Event>,
    recent: Arc<Mutex<VecDeque<Event>>>,
}

impl EventBus {
    pub(crate) fn new() -> Self {
        Self {
            listeners: broadcast::channel(BACKLOG).0,
            recent: Arc::default(),
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(event.clone());
        // Under the lock, so that a listener gets each event once: as past or as news. Nobody
        // listening is not a failure.
        let _ = self.listeners.send(event);
    }

    pub(crate) fn listen(&self, window: Window) -> EventStream {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let bounded = window.since.is_some() || window.until.is_some();
        let past = recent
            .iter()
            .filter(|event| bounded && window.of_the_past(event));
        EventStream {
            past: past.cloned().collect(),
            news: self.listeners.subscribe(),
            until: window.until,
        }
    }
}

/// Events of the past first, then each as it happens.
#[derive(Debug)]
pub struct EventStream {
    past: VecDeque<Event>,
    news: broadcast::Receiver<Event>,
    until: Option<Timestamp>,
}

impl EventStream {
    /// The next event; `None` once the window or the engine has closed.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.past.pop_front() {
            return Some(event);
        }
        let Some(until) = self.until else {
            return news(&mut self.news).await;
        };
        let left = u64::try_from(until.0.saturating_sub(Timestamp::now().0)).unwrap_or(0);
        // When there is no time left, nothing that comes now is wanted.
        if left == 0 {
            return None;
        }
        let next = news(&mut self.news);
        tokio::time::timeout(Duration::from_nanos(left), next)
            .await
            .ok()
            .flatten()
    }
}

async fn news(receiver: &mut broadcast::Receiver<Event>) -> Option<Event> {
    loop {
        match receiver.recv().await {
            Ok(event) => return Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a listener of events was too slow");
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64) -> Event {
        Event {
            kind: "container",
            action: number.to_string(),
            actor: "aa".into(),
            attributes: BTreeMap::new(),
            time: Timestamp(number),
        }
    }

    fn told(numbers: std::ops::Range<i64>) -> EventBus {
        let bus = EventBus::new();
        numbers.for_each(|number| bus.tell(event(number)));
        bus
    }

    async fn all(mut stream: EventStream) -> Vec<i64> {
        let mut numbers = Vec::new();
        while let Some(event) = stream.next().await {
            numbers.push(event.time.0);
        }
        numbers
    }

    #[tokio::test]
    async fn a_window_of_the_past_is_replayed_and_ends() {
        let bus = told(1..10);
        let window = |since: Option<i64>, until: Option<i64>| {
            let (since, until) = (since.map(Timestamp), until.map(Timestamp));
            all(bus.listen(Window { since, until }))
        };
        assert_eq!(window(Some(3), Some(5)).await, [3, 4, 5]);
        assert_eq!(window(None, Some(2)).await, [1, 2]);
        assert_eq!(window(Some(8), Some(100)).await, [8, 9]);
        assert!(window(Some(20), Some(30)).await.is_empty());
    }

    #[tokio::test]
    async fn no_more_are_kept_than_docker_keeps() {
        let bus = told(0..1000);
        let until = Some(Timestamp(2000));
        let kept = all(bus.listen(Window { since: None, until })).await;
        assert_eq!(kept, (744..1000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_past_goes_over_into_news_without_a_gap_and_without_bounds_there_is_no_past() {
        let bus = told(1..4);
        let since = Some(Timestamp(3));
        let mut both = bus.listen(Window { since, until: None });
        let mut news = bus.listen(Window::default());
        bus.tell(event(4));
        assert_eq!(both.next().await, Some(event(3)));
        assert_eq!(both.next().await, Some(event(4)));
        assert_eq!(news.next().await, Some(event(4)));
        drop(bus);
        assert_eq!((both.next().await, news.next().await), (None, None));
    }

    #[tokio::test]
    async fn a_window_into_the_future_closes_by_itself() {
        let until = Some(Timestamp(Timestamp::now().0 + 30_000_000));
        let since = None;
        assert_eq!(
            all(told(1..3).listen(Window { since, until })).await,
            [1, 2]
        );
    }
}
