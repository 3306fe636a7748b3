//! The steps of a long chore: each is named as it begins, and its time is told at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub(crate) struct Steps {
    chore: &'static str,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    pub(crate) fn of(chore: &'static str) -> Self {
        Self {
            chore,
            done: Vec::new(),
        }
    }

    pub(crate) fn time<T>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        println!("{}: {name}", self.chore);
        let started = Instant::now();
        let result = step().context(name)?;
        self.done.push((name, started.elapsed()));
        Ok(result)
    }

    pub(crate) fn print(&self) {
        for (name, time) in &self.done {
            println!("{:8.1} s  {name}", time.as_secs_f32());
        }
    }
}
