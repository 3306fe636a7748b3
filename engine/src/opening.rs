//! Who starts first when an engine opens on many containers that want to run: a few at once, in
//! the order in which they were made. A host that has just come up has little to spare, and all
//! at once they would each be late.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The right to start, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// A place in the row.
#[derive(Debug)]
pub(crate) struct Place(oneshot::Receiver<Turn>);

impl Place {
    /// Waits for it to be one's turn; `None` when the engine closes.
    pub(crate) async fn turn(self) -> Option<Turn> {
        self.0.await.ok()
    }
}

/// Those that wait, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Row(Vec<oneshot::Sender<Turn>>);

impl Row {
    pub(crate) fn stand(&mut self) -> Place {
        let (call, place) = oneshot::channel();
        self.0.push(call);
        Place(place)
    }

    /// Calls all of them, so many at once. Who has left is passed over.
    pub(crate) async fn call(self, at_once: usize) {
        let turns = Arc::new(Semaphore::new(at_once.max(1)));
        for waiting in self.0 {
            let Ok(turn) = turns.clone().acquire_owned().await else {
                return;
            };
            // A turn that nobody takes is the next one's.
            let _ = waiting.send(Turn { _permit: turn });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn so_many_have_their_turn_at_once_and_in_order() {
        let mut row = Row::default();
        let mut places: Vec<_> = (0..5).map(|_| Box::pin(row.stand().turn())).collect();
        let mut calling = pin!(row.call(2));
        assert!(poll!(&mut calling).is_pending());
        let mut turns = Vec::new();
        for place in places.drain(..2) {
            turns.push(place.await.unwrap());
        }
        for place in &mut places {
            assert!(poll!(place).is_pending());
        }
        // The third has left: what ends next calls the fourth.
        drop(places.remove(0));
        turns.pop();
        assert!(poll!(&mut calling).is_pending());
        let Poll::Ready(fourth) = poll!(&mut places[0]) else {
            panic!("not called")
        };
        assert!(poll!(&mut places[1]).is_pending());
        drop(fourth);
        assert!(poll!(&mut calling).is_ready());
        assert!(poll!(&mut places[1]).is_ready());
    }
}
