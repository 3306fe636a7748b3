//! Tells others what happened: pushes, pulls, deletes.
//!
//! ```text
//!  Registry ──event──► queue ──► a task for each delivery, so many at once
//!                                  distribution: each hook by itself
//!                                  hub: one hook after the other; the next only when the one
//!                                       before has called back with success
//! ```
//!
//! A delivery that fails is tried again, waiting longer each time, and then given up: the log
//! says so. A queue that is full drops the newest event, for nobody may stop a push by being slow.

mod deliver;
mod event;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hull_images::repositories::Repositories;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::{Form, Hook};
pub(crate) use event::{Action, Event};

/// Events that wait.
const QUEUE: usize = 10_000;
/// How long the first pause is.
const PAUSE: Duration = Duration::from_millis(500);

/// What a chain's hook calls back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Success,
    Failure,
    Error,
}

/// The hooks of a registry.
#[derive(Clone, Default)]
pub(crate) struct Webhooks(Option<Arc<Inner>>);

struct Inner {
    queue: mpsc::Sender<Event>,
    /// Chains that wait for a call back, by what is in its address.
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting(Mutex<HashMap<String, oneshot::Sender<State>>>);

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhooks {
    /// Starts delivering, on the runtime that this is called on.
    pub(crate) fn start(
        hooks: Vec<Hook>,
        most: usize,
        base: String,
        repositories: Repositories,
    ) -> Webhooks {
        if hooks.is_empty() {
            return Webhooks(None);
        }
        let (queue, mut events) = mpsc::channel::<Event>(QUEUE);
        let waiting = Arc::new(Waiting::default());
        let courier = Arc::new(Courier {
            hooks,
            base,
            repositories,
            places: Semaphore::new(most.max(1)),
            waiting: waiting.clone(),
        });
        // Ends when the registry has gone, and the queue with it.
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                courier.clone().dispatch(Arc::new(event));
            }
        });
        Webhooks(Some(Arc::new(Inner { queue, waiting })))
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(inner) = &self.0
            && inner.queue.try_send(event()).is_err()
        {
            tracing::warn!("too many events wait for webhooks: one is dropped");
        }
    }

    /// A hook has called back. Says whether it was waited for.
    pub(crate) fn called_back(&self, secret: &str, state: State) -> bool {
        let Some(inner) = &self.0 else {
            return false;
        };
        let waiting = inner.waiting.lock().remove(secret);
        waiting.is_some_and(|waiting| waiting.send(state).is_ok())
    }
}

struct Courier {
    hooks: Vec<Hook>,
    /// Where hooks call back: scheme, host and port.
    base: String,
    repositories: Repositories,
    places: Semaphore,
    waiting: Arc<Waiting>,
}

impl Courier {
    fn dispatch(self: Arc<Self>, event: Arc<Event>) {
        let mut chain = Vec::new();
        for hook in self.hooks.iter().filter(|hook| event.concerns(hook)) {
            match hook.form {
                Form::Hub => chain.push(hook.clone()),
                Form::Distribution => {
                    let (courier, event, hook) = (self.clone(), event.clone(), hook.clone());
                    let body = event.envelope();
                    tokio::spawn(async move {
                        courier.deliver(&hook, event::ENVELOPE, body).await;
                    });
                }
            }
        }
        if !chain.is_empty() && event.is_tagged_push() {
            tokio::spawn(async move { self.chain(&chain, &event).await });
        }
    }

    /// Docker Hub's way: one after the other, as long as each says that it went well.
    async fn chain(&self, chain: &[Hook], event: &Event) {
        let (repositories, name) = (self.repositories.clone(), event.repository.clone());
        let record = tokio::task::spawn_blocking(move || repositories.record(&name)).await;
        let record = record.ok().and_then(Result::ok);
        for hook in chain {
            let mut secret = [0; 16];
            if SystemRandom::new().fill(&mut secret).is_err() {
                return tracing::error!("no random numbers for a callback");
            }
            let secret = hex::encode(secret);
            let (send, called_back) = oneshot::channel();
            self.waiting.lock().insert(secret.clone(), send);
            let address = format!("{}/hull/v1/callbacks/{secret}", self.base);
            let body = event.hub(&self.base, &address, record.as_ref());
            let delivered = self.deliver(hook, "application/json", body).await;
            let state = match delivered {
                true => tokio::time::timeout(hook.callback, called_back).await,
                false => Ok(Ok(State::Error)),
            };
            self.waiting.lock().remove(&secret);
            match state {
                Ok(Ok(State::Success)) => {}
                Ok(state) => {
                    return tracing::warn!(url = hook.url, ?state, "a chain of webhooks ends");
                }
                Err(_) => {
                    return tracing::warn!(url = hook.url, "a webhook did not call back");
                }
            }
        }
    }

    /// Posts until it is taken. Says whether it was.
    async fn deliver(&self, hook: &Hook, media_type: &'static str, body: String) -> bool {
        let mut pause = PAUSE;
        for attempt in 1..=hook.attempts.max(1) {
            let error = {
                let Ok(_place) = self.places.acquire().await else {
                    return false;
                };
                let (hook, body) = (hook.clone(), body.clone());
                let post = move || deliver::post(&hook, media_type, &body);
                match tokio::task::spawn_blocking(post).await {
                    Ok(Ok(())) => return true,
                    Ok(Err(error)) => error,
                    Err(error) => error.to_string(),
                }
            };
            tracing::warn!(url = hook.url, attempt, error, "a webhook was not told");
            if attempt < hook.attempts {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
        tracing::error!(url = hook.url, "a webhook is given up for this event");
        false
    }
}
