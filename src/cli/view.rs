//! A run on the screen: its log lines, and below them, on a terminal, its steps as they stand.

use std::time::Duration;

use anstyle::Style;

use crate::cli::lines::{Joiner, Line, Piece};
use crate::cli::output::{BAD, BUSY, FAINT, GOOD, NAME, Output, STRONG, note, window};
use crate::domain::log::LogStream;
use crate::domain::run::{Percent, RunStatus, Step, StepStatus};
use crate::domain::terminal::harmless;
use crate::domain::time::{self, Timestamp};

/// How a run stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) status: RunStatus,
    pub(super) progress: Percent,
    pub(super) attempt: u32,
    /// Why it stands so: what it waits for, or what went wrong.
    pub(super) reason: Option<String>,
    pub(super) next_attempt_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) steps: Vec<Step>,
}

pub(super) struct View {
    output: Output,
    /// Such as `nightly #12`.
    title: String,
    joiner: Joiner,
    standing: Option<Standing>,
    /// How many lines of the block below the log are on the screen.
    drawn: usize,
    /// What is to be printed above the block at the next redraw.
    pending: String,
    /// The person knows that the connection is gone.
    told_of_loss: bool,
}

impl View {
    pub(super) fn new(output: Output, title: String) -> Self {
        let pending = String::new();
        Self {
            output,
            title,
            joiner: Joiner::default(),
            standing: None,
            drawn: 0,
            pending,
            told_of_loss: false,
        }
    }

    pub(super) fn log(&mut self, piece: Piece<'_>) {
        self.told_of_loss = false;
        for line in self.joiner.push(piece) {
            self.print_line(&line);
        }
    }

    /// Takes a new standing; where there is no block to show it, what changed is printed.
    pub(super) fn stand(&mut self, standing: Standing) {
        self.told_of_loss = false;
        if !self.output.live {
            self.print_changes(&standing);
        }
        self.standing = Some(standing);
    }

    pub(super) fn say(&mut self, text: &str) {
        self.pending.push_str(&self.output.paint(FAINT, text));
        self.pending.push('\n');
    }

    /// Says once that the connection is gone.
    pub(super) fn lost(&mut self, reason: &str) -> std::io::Result<()> {
        if !std::mem::replace(&mut self.told_of_loss, true) {
            self.clear()?;
            note(&format!("connection lost ({reason}), reconnecting"));
        }
        Ok(())
    }

    /// Brings the screen up to date.
    pub(super) fn redraw(&mut self) -> std::io::Result<()> {
        let block = match &self.standing {
            Some(standing) if self.output.live => self.block(standing, window()),
            _ => Vec::new(),
        };
        if self.pending.is_empty() && block.is_empty() && self.drawn == 0 {
            return Ok(());
        }
        let mut text = self.erase();
        text.push_str(&std::mem::take(&mut self.pending));
        for line in &block {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = block.len();
        self.output.raw(&text)
    }

    /// Takes the block away, so that something else may be printed.
    pub(super) fn clear(&mut self) -> std::io::Result<()> {
        let mut text = self.erase();
        text.push_str(&std::mem::take(&mut self.pending));
        self.output.raw(&text)
    }

    /// No more lines come: what was held back of them is printed.
    pub(super) fn end_log(&mut self) -> std::io::Result<()> {
        for line in self.joiner.finish() {
            self.print_line(&line);
        }
        self.clear()
    }

    /// The last that is said: how each step and the run ended.
    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        self.end_log()?;
        let Some(standing) = &self.standing else { return Ok(()) };
        if self.output.live {
            for step in &standing.steps {
                self.output.line(&self.step_line(step))?;
            }
        }
        let mut text = format!("{} {}", self.title, words(standing.status.as_str()));
        if let Some(took) = took(standing.started_at, standing.finished_at) {
            text.push_str(&format!(" in {took}"));
        }
        if let Some(reason) = &standing.reason {
            text.push_str(&format!(": {}", harmless(reason, false)));
        }
        self.output.line(&self.output.paint(run_style(standing.status), &text))
    }

    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\u{1b}[{lines}A\u{1b}[0J"),
        }
    }

    fn print_line(&mut self, line: &Line) {
        let name = line.step.as_deref().unwrap_or("slipway");
        let (name_style, text_style) = match line.stream {
            LogStream::System => (FAINT, FAINT),
            LogStream::Stdout | LogStream::Stderr => (NAME, Style::new()),
        };
        let text = match self.output.terminal {
            true => harmless(&line.text, self.output.live),
            false => line.text.clone(),
        };
        self.pending.push_str(&self.output.paint(name_style, &format!("[{name}]")));
        self.pending.push(' ');
        self.pending.push_str(&self.output.paint(text_style, &text));
        self.pending.push('\n');
    }

    fn print_changes(&mut self, standing: &Standing) {
        let mut changes = Vec::new();
        let before = self.standing.as_ref();
        // How the run ended is the last thing to be said, behind the last line of the log.
        let is_news = before.is_none_or(|before| {
            (before.status, before.attempt, before.progress, gist(&before.reason))
                != (standing.status, standing.attempt, standing.progress, gist(&standing.reason))
        });
        if is_news && !standing.status.is_ended() {
            changes.push(self.heading(standing));
        }
        for step in &standing.steps {
            let was = before.and_then(|before| before.steps.iter().find(|other| other.name == step.name));
            let is_news = match was {
                Some(was) => (was.status, was.attempt) != (step.status, step.attempt),
                None => step.status != StepStatus::Pending,
            };
            if is_news {
                changes.push(format!("{}: {}", step.name, step_text(step)));
            }
        }
        for change in changes {
            self.say(&format!("-- {change}"));
        }
    }

    fn heading(&self, standing: &Standing) -> String {
        let mut text =
            format!("{} {}, {}%", self.title, words(standing.status.as_str()), standing.progress.get());
        if 1 < standing.attempt {
            text.push_str(&format!(", attempt {}", standing.attempt));
        }
        if let Some(at) = standing.next_attempt_at {
            text.push_str(&format!(", tried again at {at}"));
        }
        if let Some(reason) = &standing.reason {
            text.push_str(&format!(" ({})", harmless(reason, false)));
        }
        text
    }

    /// As many lines as the window holds beside some of the log: the steps that matter most first to stay.
    fn block(&self, standing: &Standing, (columns, rows): (usize, usize)) -> Vec<String> {
        let room = (rows / 2).clamp(3, 30);
        let is_quiet = |step: &Step| {
            matches!(step.status, StepStatus::Pending | StepStatus::Succeeded | StepStatus::Skipped)
        };
        let surplus = (standing.steps.len() + 1).saturating_sub(room);
        let mut hidden = 0;
        let mut block = vec![self.output.paint(STRONG, &cut(&self.heading(standing), columns))];
        for step in &standing.steps {
            if hidden < surplus && is_quiet(step) {
                hidden += 1;
            } else if block.len() <= room {
                block.push(self.output.paint(step_style(step.status), &cut(&plain_step_line(step), columns)));
            }
        }
        let left_out = standing.steps.len() + 1 - block.len();
        if 0 < left_out {
            block.push(self.output.paint(FAINT, &format!("  and {left_out} more steps")));
        }
        block
    }

    fn step_line(&self, step: &Step) -> String {
        self.output.paint(step_style(step.status), &plain_step_line(step))
    }
}

/// Shortened to fit into a line: a line that wraps would not be erased as a whole.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() < columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(2)).chain(['…']).collect()
}

fn plain_step_line(step: &Step) -> String {
    format!("  {} {}  {}", symbol(step.status), step.name, step_text(step))
}

fn step_text(step: &Step) -> String {
    let mut text = words(step.status.as_str());
    if let Some(took) = took(step.started_at, step.finished_at) {
        text.push_str(if step.finished_at.is_some() { " in " } else { " for " });
        text.push_str(&took);
    }
    if let Some(code) = step.exit_code.filter(|&code| code != 0) {
        text.push_str(&format!(", exit code {code}"));
    }
    if 1 < step.attempt {
        text.push_str(&format!(", attempt {}", step.attempt));
    }
    if let Some(reason) = &step.reason {
        text.push_str(&format!(" ({})", harmless(reason, false)));
    }
    text
}

/// The words of a reason, without numbers and their units: they may count up for hours.
fn gist(reason: &Option<String>) -> Vec<&str> {
    let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let is_unit = |word: &&str| ["s", "min", "h"].contains(&word.trim_end_matches([',', ':']));
    let words = reason.iter().flat_map(|reason| reason.split_whitespace());
    words.filter(|word| !is_number(word) && !is_unit(word)).collect()
}

fn words(status: &str) -> String {
    status.replace('_', " ")
}

const fn symbol(status: StepStatus) -> char {
    match status {
        StepStatus::Pending => '○',
        StepStatus::Running => '●',
        StepStatus::Succeeded => '✓',
        StepStatus::Failed | StepStatus::TimedOut | StepStatus::Lost => '✗',
        StepStatus::Canceled | StepStatus::Skipped => '-',
    }
}

const fn step_style(status: StepStatus) -> Style {
    match status {
        StepStatus::Pending | StepStatus::Canceled | StepStatus::Skipped => FAINT,
        StepStatus::Running => BUSY,
        StepStatus::Succeeded => GOOD,
        StepStatus::Failed | StepStatus::TimedOut | StepStatus::Lost => BAD,
    }
}

const fn run_style(status: RunStatus) -> Style {
    match status {
        RunStatus::Succeeded => GOOD,
        RunStatus::Failed | RunStatus::TimedOut => BAD,
        _ => BUSY,
    }
}

fn took(started_at: Option<Timestamp>, finished_at: Option<Timestamp>) -> Option<String> {
    let end = finished_at.unwrap_or_else(time::now);
    started_at.map(|start| duration_text(end.since(start)))
}

/// For people: `0.4s`, `12s`, `3m 05s`, `2h 07m`.
pub(super) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;

    fn step(name: &str, status: StepStatus) -> Step {
        Step {
            name: name.to_owned(),
            status,
            exit_code: None,
            reason: None,
            attempt: 1,
            needs: Vec::new(),
            started_at: None,
            finished_at: None,
            first_line: None,
            last_line: None,
            first_error_line: None,
        }
    }

    fn view(live: bool) -> View {
        View::new(Output { format: Format::People, live, terminal: live }, "nightly #12".to_owned())
    }

    fn standing(status: RunStatus, steps: Vec<Step>) -> Standing {
        Standing {
            status,
            progress: Percent::ZERO,
            attempt: 1,
            reason: None,
            next_attempt_at: None,
            started_at: None,
            finished_at: None,
            steps,
        }
    }

    #[test]
    fn without_a_terminal_only_what_changes_is_said_in_plain_lines() {
        let mut view = view(false);
        let steps = |build| vec![step("build", build), step("test", StepStatus::Pending)];
        view.stand(standing(RunStatus::Running, steps(StepStatus::Running)));
        view.stand(standing(RunStatus::Running, steps(StepStatus::Running)));
        view.stand(standing(RunStatus::Running, steps(StepStatus::Succeeded)));
        assert_eq!(view.pending, "-- nightly #12 running, 0%\n-- build: running\n-- build: succeeded\n");
    }

    #[test]
    fn what_a_run_waits_for_is_said_once_however_long_it_takes() {
        let mut view = view(false);
        for reason in
            ["waiting: no worker has been seen for 10 s", "waiting: no worker has been seen for 5 min"]
        {
            let waiting = standing(RunStatus::Queued, Vec::new());
            view.stand(Standing { reason: Some(reason.to_owned()), ..waiting });
        }
        view.stand(standing(RunStatus::Queued, Vec::new()));
        let heading = "-- nightly #12 queued, 0%";
        let told = format!("{heading} (waiting: no worker has been seen for 10 s)\n{heading}\n");
        assert_eq!(view.pending, told);
    }

    #[test]
    fn the_block_of_steps_fits_into_the_window_and_keeps_the_steps_that_matter() {
        let view = view(true);
        let mut steps: Vec<Step> =
            (0..200).map(|n| step(&format!("step-{n}"), StepStatus::Succeeded)).collect();
        steps.push(step(&"long".repeat(100), StepStatus::Running));
        let block = view.block(&standing(RunStatus::Running, steps), (40, 20));
        assert!(block.len() <= 12, "{}", block.len());
        assert!(block.iter().any(|line| line.contains("● long") && line.contains('…')));
        assert!(block.iter().any(|line| line.contains("more steps")));
        for line in &block {
            assert!(harmless(line, false).chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn durations_are_short() {
        let texts =
            [400, 12_000, 185_000, 7_620_000].map(|millis| duration_text(Duration::from_millis(millis)));
        assert_eq!(texts, ["0.4s", "12s", "3m 05s", "2h 07m"]);
    }
}
