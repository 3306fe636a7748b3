//! Which containers the table shows, in the order they came, and what was last heard of each.

use bollard::models::ContainerStatsResponse;

use super::row;
use crate::output::value::Value;

pub(super) type Figures = Box<ContainerStatsResponse>;

#[derive(Debug, Default)]
pub(super) struct Board(Vec<(String, Option<Figures>)>);

impl Board {
    /// Adds one, or replaces what is known of it.
    pub(super) fn set(&mut self, name: &str, figures: Option<Figures>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = figures,
            None => self.0.push((name.to_owned(), figures)),
        }
    }

    /// Only of one that is there: figures may come after its end.
    pub(super) fn update(&mut self, name: &str, figures: Figures) {
        if self.has(name) {
            self.set(name, Some(figures));
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rows(&self, trunc: bool) -> Vec<Value> {
        let row =
            |(name, figures): &(String, Option<Figures>)| row::row(name, figures.as_deref(), trunc);
        self.0.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_removed_does_not_come_back_with_late_figures() {
        let mut board = Board::default();
        board.set("a", None);
        board.set("b", None);
        board.update("a", Box::default());
        board.remove("a");
        board.update("a", Box::default());
        assert!(!board.has("a") && board.has("b"));
        assert_eq!(board.rows(true).len(), 1);
        board.remove("b");
        assert!(board.is_empty());
    }
}
