//! What commands print: text for people, JSON for machines, colour only where somebody sees it.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::config::Terminal;
use crate::domain::terminal::visible;

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const BUSY: Style = AnsiColor::Yellow.on_default();
pub(super) const NAME: Style = AnsiColor::Cyan.on_default();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// Where the columns of a terminal are not known.
const COLUMNS_DEFAULT: u16 = 80;
const ROWS_DEFAULT: u16 = 24;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    People,
    Json,
}

/// Stdout, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) format: Format,
    /// A person looks at it as it comes, on a terminal that can move its cursor.
    pub(super) live: bool,
    /// Control characters in what steps print would reach a terminal.
    pub(super) terminal: bool,
}

impl Output {
    pub(super) fn new(format: Format, terminal: Terminal) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self {
            format,
            live: is_terminal && !terminal.plain && format == Format::People,
            terminal: is_terminal,
        }
    }

    pub(super) const fn is_json(self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// The text, in this style where it shows.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.live { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub(super) fn line(self, text: &str) -> std::io::Result<()> {
        self.raw(&format!("{text}\n"))
    }

    /// As it is, at once.
    pub(super) fn raw(self, text: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// One JSON document, in one line.
    pub(super) fn json(self, value: &impl Serialize) -> std::io::Result<()> {
        let text = serde_json::to_string(value).map_err(std::io::Error::other)?;
        self.line(&text)
    }

    /// A value for machines, or the text for people.
    pub(super) fn either(self, value: &impl Serialize, text: impl FnOnce() -> String) -> std::io::Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::People => self.line(&text()),
        }
    }

    /// Rows in columns as wide as their widest cell, under a heading.
    pub(super) fn table<const N: usize>(
        self,
        heading: [&str; N],
        rows: &[[String; N]],
    ) -> std::io::Result<()> {
        // What people have named, described or written: one cell, one line.
        let plain = |cell: &String| visible(&cell.replace(['\n', '\t'], " "));
        let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(plain)).collect();
        let mut widths = heading.map(|cell| cell.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: [&str; N]| {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                text.push_str(&format!("{cell:width$}  "));
            }
            text.trim_end().to_owned()
        };
        self.line(&self.paint(STRONG, &line(heading)))?;
        rows.iter().try_for_each(|row| self.line(&line(row.each_ref().map(String::as_str))))
    }
}

/// Something beside what was asked for, to stderr. Nobody can be told if that fails.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Columns and rows of the terminal.
pub(super) fn window() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let columns = size.map_or(0, |size| size.ws_col);
    let rows = size.map_or(0, |size| size.ws_row);
    let or = |number: u16, default: u16| usize::from(if number == 0 { default } else { number });
    (or(columns, COLUMNS_DEFAULT), or(rows, ROWS_DEFAULT))
}
