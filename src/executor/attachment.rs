//! Reads a step's spool, while the step runs and afterwards, for the process that started it and for those
//! that come later.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::spool::{self, Exit, Found, HEADER_BYTES, Header, Joints, Kind};
use super::watcher::Watch;
use super::{Block, ExecutorError, Output, Source, SpoolLine, orphans};
use crate::domain::text::storable;

/// How often a spool is looked at where nothing wakes the reader.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often the lock is tried after somebody has closed the spool: the system tells of it a moment before
/// the lock is free.
const CLOSED_INTERVAL: Duration = Duration::from_millis(5);
const CLOSED_LOOKS: u32 = 20;
/// A longer record is read on a thread of its own, so that nobody else waits for it.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// Reads a step's spool.
#[derive(Debug)]
pub struct Attachment {
    file: Arc<File>,
    path: PathBuf,
    workspace: PathBuf,
    offset: u64,
    watch: Watch,
    /// How many more times to look soon.
    quick_looks: u32,
    /// The last thing, once it has been given.
    last: Option<Output>,
}

impl Attachment {
    /// Attaches to a step that was started, by this process or by one before it, from the record at `offset`
    /// (0: from the first).
    ///
    /// # Errors
    ///
    /// `Io` if the step has no spool, or it cannot be opened.
    pub async fn open(dir: &Path, workspace: &Path, offset: u64) -> Result<Self, ExecutorError> {
        let path = spool::path(dir);
        // The system makes no difference between giving disk back and writing.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(ExecutorError::io("opening", &path))?;
        let workspace = std::path::absolute(workspace).map_err(ExecutorError::io("resolving", workspace))?;
        let watch = Watch::new(&path);
        Ok(Self { file: Arc::new(file), path, workspace, offset, watch, quick_looks: 0, last: None })
    }

    /// Waits for what comes next. Cancel safe. After `Ended` or `Lost`: the same again.
    ///
    /// # Errors
    ///
    /// `Io` if the spool cannot be read, or if what is at the offset is not a record while the supervisor
    /// lives.
    pub async fn next(&mut self) -> Result<Output, ExecutorError> {
        if let Some(last) = &self.last {
            return Ok(last.clone());
        }
        loop {
            // In this order: what was written before the lock was found free is seen by the second reading.
            if let Some(output) = self.read_next().await? {
                return Ok(output);
            }
            if self.is_abandoned()? {
                return match self.read_next().await? {
                    Some(output) => Ok(output),
                    None => self.lose().await,
                };
            }
            let interval = if self.quick_looks > 0 { CLOSED_INTERVAL } else { LOOK_INTERVAL };
            self.quick_looks = self.quick_looks.saturating_sub(1);
            let _ = tokio::time::timeout(interval, self.watch.changed()).await;
            if self.watch.take_closed() {
                self.quick_looks = CLOSED_LOOKS;
            }
        }
    }

    fn is_abandoned(&self) -> Result<bool, ExecutorError> {
        spool::is_abandoned(&self.file).map_err(ExecutorError::io("locking", &self.path))
    }

    /// The next output that is there. Only what is returned moves the offset, so dropping this loses nothing.
    async fn read_next(&mut self) -> Result<Option<Output>, ExecutorError> {
        loop {
            let (found, lines) = self.read_record().await?;
            let (header, payload) = match found {
                Found::Record { header, payload } => (header, payload),
                Found::Nothing => return Ok(None),
                // The end of a file that a crash of the machine has torn.
                Found::Damaged if self.is_abandoned()? => return Ok(None),
                Found::Damaged => {
                    let damaged = std::io::Error::from(std::io::ErrorKind::InvalidData);
                    return Err(ExecutorError::io("reading", &self.path)(damaged));
                }
            };
            let offset = self.offset;
            let next_offset = offset + (HEADER_BYTES + header.payload_len) as u64;
            match header.kind {
                Kind::Start | Kind::Ready => self.offset = next_offset,
                Kind::Lines(source) => {
                    self.offset = next_offset;
                    return Ok(Some(Output::Block(Block {
                        offset,
                        next_offset,
                        at: header.at,
                        source,
                        lines,
                    })));
                }
                Kind::Exit => {
                    let exit: Exit = serde_json::from_slice(&payload)
                        .map_err(|error| ExecutorError::io("reading", &self.path)(error.into()))?;
                    let last = Output::Ended { ending: exit.ending, at: header.at };
                    self.last = Some(last.clone());
                    return Ok(Some(last));
                }
            }
        }
    }

    async fn read_record(&self) -> Result<(Found, Vec<SpoolLine>), ExecutorError> {
        let offset = self.offset;
        let len = spool::peek(&self.file, offset).map_err(ExecutorError::io("reading", &self.path))?;
        let read = if len.is_some_and(|len| len > INLINE_BYTES_MAX) {
            let file = Arc::clone(&self.file);
            match tokio::task::spawn_blocking(move || read_lines(&file, offset)).await {
                Ok(read) => read,
                Err(error) => Err(error.into()),
            }
        } else {
            read_lines(&self.file, offset)
        };
        read.map_err(ExecutorError::io("reading", &self.path))
    }

    /// The supervisor is gone without a word: ends what it has left behind.
    async fn lose(&mut self) -> Result<Output, ExecutorError> {
        let start = spool::read_start(&self.file).map_err(ExecutorError::io("reading", &self.path))?;
        if let Some(start) = start {
            let workspace = self.workspace.clone();
            let cleaning = tokio::task::spawn_blocking(move || orphans::end(&start, &workspace));
            let is_clean = cleaning
                .await
                .map_err(|error| ExecutorError::io("cleaning up after", &self.path)(error.into()))?;
            if !is_clean {
                tracing::error!(path = %self.path.display(), "some processes of a lost step could not be ended");
            }
        }
        self.last = Some(Output::Lost);
        Ok(Output::Lost)
    }
}

fn read_lines(file: &File, offset: u64) -> std::io::Result<(Found, Vec<SpoolLine>)> {
    let found = spool::read(file, offset)?;
    let lines = match &found {
        Found::Record { header: Header { kind: Kind::Lines(source), joints, .. }, payload } => {
            split(payload, *source, *joints)
        }
        _ => Vec::new(),
    };
    Ok((found, lines))
}

fn split(payload: &[u8], source: Source, joints: Joints) -> Vec<SpoolLine> {
    let mut lines = Vec::new();
    let mut rest = payload;
    let mut continued = joints.continued && source != Source::Note;
    while !rest.is_empty() {
        let (line, after, is_whole) = match memchr::memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..], true),
            None => (rest, &rest[rest.len()..], false),
        };
        // A terminal ends its lines with both, as some programs do anywhere.
        let line = if is_whole { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        lines.push(SpoolLine { text: storable(line), partial: !is_whole, continued });
        continued = false;
        rest = after;
    }
    lines
}

/// The block whose record is at `offset` of a step's spool; none if there is none, or not any more. Blocks.
pub fn read_block(dir: &Path, offset: u64) -> Option<Block> {
    let file = File::open(spool::path(dir)).ok()?;
    match read_lines(&file, offset).ok()? {
        (Found::Record { header: Header { kind: Kind::Lines(source), payload_len, at, .. }, .. }, lines) => {
            let next_offset = offset + (HEADER_BYTES + payload_len) as u64;
            Some(Block { offset, next_offset, at, source, lines })
        }
        _ => None,
    }
}

/// Gives the disk of a step's spool back up to `offset`: those lines are in the archive. Where the file system
/// cannot, it does nothing.
pub fn punch(dir: &Path, offset: u64) {
    let path = spool::path(dir);
    let punched = OpenOptions::new().write(true).open(&path).map_err(ExecutorError::io("opening", &path));
    let outcome = punched.and_then(|file| match spool::punch(&file, offset) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(ExecutorError::io("punching", &path)(error.into())),
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "The disk of a spool could not be given back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_keep_everything_else() {
        let joints = Joints { continued: true, partial: true };
        let lines = split(b"a\r\n\n b\xff\0 \ntail\r", Source::Stdout, joints);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a", "", " b\u{fffd}\u{fffd} ", "tail\r"]);
        assert_eq!(lines.iter().map(|line| line.continued).collect::<Vec<_>>(), [true, false, false, false]);
        assert_eq!(lines.iter().map(|line| line.partial).collect::<Vec<_>>(), [false, false, false, true]);
    }
}

#[cfg(test)]
mod fuzz {
    use std::io::Write;
    use std::time::Instant;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::spool::PAYLOAD_BYTES_MAX;
    use super::super::stream::Stream;
    use super::super::writer::SpoolWriter;
    use super::*;
    use crate::domain::mask::Masker;
    use crate::domain::secret::Secret;
    use crate::mutate::{Cuts, cuts, holds, mutated};

    const SAMPLES: [&[u8]; 5] = [
        b"one\ntwo\r\n\n  three \xc3\xa4\xf0\x9d\x84\x9e\n50%\r60%\rprompt> ",
        b"token=hunter2-secret aHVudGVyMi1zZWNyZXQ= 68756e746572322d736563726574\nhunter2-hunter2-secret\n",
        b"\x00\x01\xff\xfe\x80\x80\x80\x80\n\xed\xa0\x80\xe4\xb8\n\xf0\x90",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb\n",
        b"\n\n\r\r\n\r",
    ];

    /// The spool of a command that printed the pieces, with a pause behind each.
    fn spooled(pieces: &[&[u8]], masker: &Masker, line_bytes_max: usize) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut writer = SpoolWriter::new(file.try_clone().unwrap(), u64::MAX / 2, 1 << 30);
        let (reader, pipe) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        let mut pipe = Some(pipe);
        let mut stream = Stream::new(Source::Stdout, reader.into(), masker, line_bytes_max);
        let mut buffer = vec![0; 16 * 1024];
        for piece in pieces {
            for part in piece.chunks(buffer.len()) {
                pipe.as_mut().unwrap().write_all(part).unwrap();
                stream.read(&mut buffer, &mut writer);
            }
            stream.show_unfinished(Instant::now() + Duration::from_secs(60), &mut writer);
        }
        pipe.take();
        stream.finish(&mut buffer, &mut writer);
        assert!(writer.flush());
        file
    }

    /// All lines up to the end of what can be read.
    fn lines_of(file: &File) -> Vec<SpoolLine> {
        let mut offset = 0;
        let mut lines = Vec::new();
        while let (Found::Record { header, .. }, more) = read_lines(file, offset).unwrap() {
            offset += (HEADER_BYTES + header.payload_len) as u64;
            lines.extend(more);
        }
        lines
    }

    /// Whole lines out of pieces that hang together.
    fn joined(lines: Vec<SpoolLine>) -> Vec<String> {
        let mut whole: Vec<String> = Vec::new();
        let mut is_open = false;
        for SpoolLine { text, partial, continued } in lines {
            assert_eq!(continued, is_open, "{text:?}");
            match whole.last_mut() {
                Some(last) if continued => last.push_str(&text),
                _ => whole.push(text),
            }
            is_open = partial;
        }
        // A command that ends behind a piece of a line has nothing to add to it.
        whole
    }

    /// The lines of bytes that came at once.
    fn expected(bytes: &[u8], masker: &Masker) -> Vec<String> {
        let mut masked = Vec::new();
        let mut mask = masker.stream();
        mask.push(bytes, &mut masked);
        mask.finish(&mut masked);
        let lines = masked.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
            .map(|line| storable(line.strip_suffix(b"\r").unwrap_or(line)))
            .collect()
    }

    fn masker() -> Masker {
        Masker::new(&["hunter2-secret", "over\ntwo lines"].map(|secret| Secret::new(secret.to_owned())))
            .unwrap()
    }

    #[test]
    fn lines_are_the_same_however_a_command_prints_them() {
        let masker = masker();
        holds(
            400,
            (mutated(&SAMPLES), cuts(), 4..80_usize),
            |(bytes, cuts, line_bytes_max): (_, Cuts, _)| {
                let lines = lines_of(&spooled(&cuts.of(&bytes), &masker, line_bytes_max));
                // A byte that is no text becomes a character of three.
                prop_assert!(lines.iter().all(|line| line.text.len() <= 3 * line_bytes_max));
                prop_assert_eq!(joined(lines), expected(&bytes, &masker));
                Ok(())
            },
        );
    }

    #[test]
    fn a_damaged_spool_gives_no_line_that_was_not_printed() {
        let masker = Masker::default();
        let flips = vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4);
        let damage = (flips, prop::option::of(any::<prop::sample::Index>()));
        holds(400, (mutated(&SAMPLES), cuts(), damage), |(bytes, cuts, (flips, cut)): (Vec<u8>, Cuts, _)| {
            let file = spooled(&cuts.of(&bytes), &masker, 64);
            let whole = lines_of(&file);
            let mut spool = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            prop_assume!(!spool.is_empty() && spool.len() < PAYLOAD_BYTES_MAX);
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut spool, 0).unwrap();
            for (at, mask) in &flips {
                let at = at.index(spool.len());
                spool[at] ^= mask;
            }
            if let Some(cut) = cut {
                spool.truncate(cut.index(spool.len()));
            }
            let mut damaged = tempfile::tempfile().unwrap();
            damaged.write_all(&spool).unwrap();
            let read = lines_of(&damaged);
            prop_assert_eq!(&read[..], &whole[..read.len().min(whole.len())]);
            Ok(())
        });
    }
}
