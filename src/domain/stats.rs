//! Figures of many durations.

use std::time::Duration;

/// The smallest of the durations that is not below so many percent of them; none of none.
pub fn percentile(durations: &mut [Duration], percent: usize) -> Option<Duration> {
    durations.sort_unstable();
    let rank = (durations.len() * percent.min(100)).div_ceil(100);
    durations.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_durations() {
        let of = |millis: &[u64], percent: usize| {
            let mut durations: Vec<_> = millis.iter().map(|millis| Duration::from_millis(*millis)).collect();
            percentile(&mut durations, percent).map(|duration| duration.as_millis())
        };
        assert_eq!(of(&[], 50), None);
        assert_eq!(of(&[7], 95), Some(7));
        assert_eq!(of(&[30, 10, 20], 50), Some(20));
        assert_eq!(of(&[4, 3, 2, 1], 50), Some(2));
        assert_eq!(of(&[2, 1], 95), Some(2));
        assert_eq!(of(&[2, 1], 0), Some(1));
    }
}
