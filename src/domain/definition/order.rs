//! Checks that the steps can be put into an order: every need exists, and nothing waits for itself.

use std::collections::HashMap;

use crate::domain::definition::PlacedStep;
use crate::domain::definition::problems::{Problems, quote};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Unseen,
    /// On the way that is being followed: to come upon it again is a cycle.
    OnTheWay,
    Done,
}

pub(super) fn check_order(problems: &mut Problems, steps: &[PlacedStep]) {
    let mut indexes: HashMap<&str, usize> = HashMap::new();
    for (index, placed) in steps.iter().enumerate().filter(|(_, placed)| !placed.step.name.is_empty()) {
        indexes.entry(&placed.step.name).or_insert(index);
    }
    for (index, placed) in steps.iter().enumerate() {
        for (need_index, (need, place)) in placed.step.needs.iter().zip(&placed.need_places).enumerate() {
            if !indexes.contains_key(need.as_str()) {
                let meant = problems.suggestion(need, indexes.keys().copied());
                let path = format!("steps[{index}].needs[{need_index}]");
                let message = format!("there is no step {}{meant}", quote(need));
                problems.add(*place, &path, message, "the name of another step");
            }
        }
    }

    let mut walk = Walk { steps, indexes, visits: vec![Visit::Unseen; steps.len()], way: Vec::new() };
    for start in 0..steps.len() {
        if let Some(cycle) = walk.cycle_from(start) {
            let placed = &steps[cycle[0]];
            let names: Vec<String> =
                cycle.iter().chain(&cycle[..1]).map(|index| quote(&steps[*index].step.name)).collect();
            let message = if cycle.len() == 1 {
                format!("the step {} needs itself", names[0])
            } else {
                format!("steps wait for each other: {}", names.join(" needs "))
            };
            let place = placed.need_places.first().copied().unwrap_or(placed.name_place);
            problems.add(place, &format!("steps[{}].needs", cycle[0]), message, "needs without a circle");
            return;
        }
    }
}

struct Walk<'a> {
    steps: &'a [PlacedStep],
    indexes: HashMap<&'a str, usize>,
    visits: Vec<Visit>,
    way: Vec<usize>,
}

impl Walk<'_> {
    /// The first circle among all that `index` needs, from its earliest step on. Recurses at most as deep as
    /// there are steps.
    fn cycle_from(&mut self, index: usize) -> Option<Vec<usize>> {
        match self.visits[index] {
            Visit::Done => return None,
            Visit::OnTheWay => {
                let start = self.way.iter().position(|on_the_way| *on_the_way == index)?;
                let mut cycle = self.way[start..].to_vec();
                let earliest =
                    cycle.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
                cycle.rotate_left(earliest);
                return Some(cycle);
            }
            Visit::Unseen => {}
        }
        self.visits[index] = Visit::OnTheWay;
        self.way.push(index);
        let steps = self.steps;
        for need in &steps[index].step.needs {
            if let Some(next) = self.indexes.get(need.as_str()).copied()
                && let Some(cycle) = self.cycle_from(next)
            {
                return Some(cycle);
            }
        }
        self.way.pop();
        self.visits[index] = Visit::Done;
        None
    }
}
