//! The data-driven model: paths as a Markov chain, and each channel credited by how many conversions would be
//! missed if it were taken away (removal effect).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Below either the model says more about chance than about channels.
pub const LEAST_CONVERSIONS: u64 = 300;
pub const LEAST_CONVERSIONS_OF_A_CHANNEL: u64 = 30;
/// More channels than these make a system that is solved slowly, and each of them has too few paths.
const MOST_CHANNELS: usize = 40;

/// How often people went from one channel to the next. Holds counts only, however many paths are added.
#[derive(Clone, Debug, Default)]
pub struct Transitions {
    channels: BTreeMap<String, Channel>,
    starts: BTreeMap<String, u64>,
    conversions: u64,
}

#[derive(Clone, Debug, Default)]
struct Channel {
    next: BTreeMap<String, u64>,
    converted: u64,
    ended: u64,
    /// Conversions whose path came by here.
    in_conversions: u64,
}

/// What would be missed without each channel, from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemovalEffects(BTreeMap<String, f64>);

impl RemovalEffects {
    pub fn of(&self, channel: &str) -> f64 {
        self.0.get(channel).copied().unwrap_or(0.0)
    }

    /// Each channel's part of all effects; they add up to 1.
    pub fn credits(&self) -> BTreeMap<&str, f64> {
        let sum: f64 = self.0.values().sum();
        let part = |effect: f64| if sum > 0.0 { effect / sum } else { 0.0 };
        self.0
            .iter()
            .map(|(channel, effect)| (channel.as_str(), part(*effect)))
            .collect()
    }
}

impl Transitions {
    /// One person's way by the channels, the oldest first, and whether it ended in an order.
    pub fn add<'c>(&mut self, path: impl IntoIterator<Item = &'c str>, converted: bool) {
        let path: Vec<&str> = path.into_iter().collect();
        let Some((first, last)) = path.first().zip(path.last()) else {
            return;
        };
        *self.starts.entry((*first).to_owned()).or_default() += 1;
        for pair in path.windows(2) {
            let next = &mut self.channels.entry(pair[0].to_owned()).or_default().next;
            *next.entry(pair[1].to_owned()).or_default() += 1;
        }
        let end = self.channels.entry((*last).to_owned()).or_default();
        match converted {
            true => end.converted += 1,
            false => end.ended += 1,
        }
        if converted {
            self.conversions += 1;
            let mut seen = path;
            seen.sort_unstable();
            seen.dedup();
            for channel in seen {
                if let Some(channel) = self.channels.get_mut(channel) {
                    channel.in_conversions += 1;
                }
            }
        }
    }

    /// Whether there is enough to learn from: every channel that took part in an order took part in enough of
    /// them.
    pub fn has_volume(&self) -> bool {
        let enough = |channel: &Channel| {
            channel.in_conversions == 0 || channel.in_conversions >= LEAST_CONVERSIONS_OF_A_CHANNEL
        };
        self.conversions >= LEAST_CONVERSIONS
            && self.channels.len() <= MOST_CHANNELS
            && self.channels.values().all(enough)
    }

    /// `None`: no path converts.
    pub fn removal_effects(&self) -> Option<RemovalEffects> {
        let all = self.conversion_probability(None);
        if all <= 0.0 {
            return None;
        }
        let effect = |channel: &String| {
            let without = self.conversion_probability(Some(channel));
            (channel.clone(), (1.0 - without / all).clamp(0.0, 1.0))
        };
        Some(RemovalEffects(self.channels.keys().map(effect).collect()))
    }

    /// The chance to get from the start to an order; what flows into `removed` is lost.
    fn conversion_probability(&self, removed: Option<&String>) -> f64 {
        let names: Vec<&String> = self
            .channels
            .keys()
            .filter(|name| Some(*name) != removed)
            .collect();
        let place = |name: &String| names.iter().position(|known| *known == name);
        // Of the chances x to convert from each channel: x = Q x + r, so (I - Q) x = r.
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let channel = &self.channels[*name];
            let out = channel.next.values().sum::<u64>() + channel.converted + channel.ended;
            let mut row = vec![0.0; names.len() + 1];
            row[index] = 1.0;
            for (next, count) in &channel.next {
                if let Some(to) = place(next) {
                    row[to] -= *count as f64 / out as f64;
                }
            }
            row[names.len()] = channel.converted as f64 / out as f64;
            rows.push(row);
        }
        let chances = solve(rows);
        let all: u64 = self.starts.values().sum();
        let from = |(name, count): (&String, &u64)| match place(name) {
            Some(index) => chances[index] * *count as f64,
            None => 0.0,
        };
        self.starts.iter().map(from).sum::<f64>() / all.max(1) as f64
    }
}

/// Gauss's elimination with pivots. A channel that is never left has no equation of its own; its chance is 0.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let count = rows.len();
    for column in 0..count {
        let best = (column..count).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        let Some(best) = best.filter(|row| rows[*row][column].abs() > 1e-12) else {
            continue;
        };
        rows.swap(column, best);
        let pivot = rows[column].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[column] / pivot[column];
            if index != column && factor != 0.0 {
                for (value, from) in row.iter_mut().zip(&pivot) {
                    *value -= factor * from;
                }
            }
        }
    }
    let chance = |index: usize| match rows[index][index] {
        own if own.abs() > 1e-12 => rows[index][count] / own,
        _ => 0.0,
    };
    (0..count).map(chance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// Printed in the reference, 6.3: A, B, order twice; A alone once; B, order once.
    #[test]
    fn reference_vector_of_removal_effects() {
        let mut paths = Transitions::default();
        paths.add(["a", "b"], true);
        paths.add(["a", "b"], true);
        paths.add(["a"], false);
        paths.add(["b"], true);
        assert!(close(paths.conversion_probability(None), 0.75));
        assert!(close(paths.conversion_probability(Some(&"a".to_owned())), 0.25));
        assert!(close(paths.conversion_probability(Some(&"b".to_owned())), 0.0));
        let effects = paths.removal_effects().unwrap();
        assert!(close(effects.of("a"), 2.0 / 3.0) && close(effects.of("b"), 1.0));
        let credits = effects.credits();
        assert!(close(credits["a"], 0.4) && close(credits["b"], 0.6));
    }

    #[test]
    fn a_loop_and_a_dead_end_are_solved_and_no_order_is_no_effect() {
        let mut paths = Transitions::default();
        assert_eq!(paths.removal_effects(), None);
        paths.add(["a", "a", "b", "a"], true);
        paths.add(["c"], false);
        let effects = paths.removal_effects().unwrap();
        assert!(close(effects.of("c"), 0.0));
        assert!(close(effects.of("a"), 1.0));
    }

    #[test]
    fn volume_is_asked_of_each_channel_that_sold() {
        let mut paths = Transitions::default();
        for _ in 0..LEAST_CONVERSIONS {
            paths.add(["a"], true);
        }
        assert!(paths.has_volume());
        paths.add(["rare"], true);
        assert!(!paths.has_volume());
    }
}
