//! The archive: segments of logs in the object store, in which any line is found by its number.
//!
//! A segment is an object `logs/<run>/<first n>-<last n>.ndjson.zst`: zstd frames of a few hundred
//! kilobytes of NDJSON each, then an index of them in a skippable frame (zstd format, RFC 8878 section
//! 3.1.2), so that `zstd -d` gives the plain log while a reader fetches one frame. The index ends with its
//! own length, so that the end of the object is enough to read it.

use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::domain::ids::RunId;
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::logs::lines::Block;
use crate::logs::read::ENTRIES_MAX;

/// Text in a frame: what reading any one line costs at the least.
const FRAME_BYTES: usize = 256 * 1024;
/// How much of a segment's end is read at first: enough for the index of a segment of 100 MB.
const TAIL_BYTES: u64 = 32 * 1024;
/// Text in a segment, at the most, so that one fits into memory while it is made.
const SEGMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
const INDEX_MAGIC: &[u8; 4] = b"SLW1";
const LEVEL: i32 = 3;
const OTHER_LINES: &str = "a frame holds other lines than its index says";

/// Consecutive lines in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub first_n: u64,
    pub last_n: u64,
    path: Path,
}

impl Segment {
    /// Its name in the object store.
    pub fn name(&self) -> &str {
        self.path.as_ref()
    }
}

/// Whether the object store calls a segment so.
pub fn is_segment(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let ["logs", run, _] = parts[..] else { return false };
    let path = Path::from(name);
    let Ok(run) = run.parse::<RunId>() else { return false };
    parse_segment(path)
        .is_some_and(|segment| segment_path(&run, segment.first_n, segment.last_n).as_ref() == name)
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    /// Where the frames end.
    end: u64,
    frames: Vec<Frame>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Frame {
    /// The number of its last line.
    #[serde(rename = "n")]
    last_n: u64,
    /// Where it begins in the object.
    #[serde(rename = "at")]
    offset: u64,
    /// How much text it holds.
    #[serde(rename = "b")]
    text_bytes: usize,
}

impl Logs {
    /// Takes the lines above what is archived, up to `until_n`, from the stream to the archive. Gives the
    /// last line that is archived then: one before `until_n` if Redis has forgotten what follows it. Repeating
    /// it after a crash is harmless.
    pub async fn archive(&self, run: &RunId, until_n: u64) -> Result<u64> {
        let Some(head) = self.head(run).await? else { return self.archived_n(run).await };
        let mut archived_n = head.archived_n;
        while archived_n < until_n {
            let blocks = self.collect(run, archived_n, until_n).await?;
            let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
                // Another who archives the log may have taken them out of the stream meanwhile.
                let head = self.head(run).await?;
                if let Some(head) = head.filter(|head| archived_n < head.archived_n) {
                    archived_n = head.archived_n;
                    continue;
                }
                return Ok(archived_n);
            };
            let (first_n, last_n) = (first.first_n, last.last_n);
            let object = tokio::task::spawn_blocking(move || compress(&blocks))
                .await
                .map_err(|error| Error::internal("compressing a log", error))?
                .map_err(|error| Error::internal("compressing a log", error))?;
            self.objects
                .put(&segment_path(run, first_n, last_n), object.into())
                .await
                .map_err(|error| Error::unavailable("object store", error))?;
            self.trim(run, last_n).await?;
            archived_n = last_n;
        }
        Ok(archived_n)
    }

    /// The last line that the archive holds; 0: none.
    pub async fn archived_n(&self, run: &RunId) -> Result<u64> {
        let segments = self.segments(run).await?;
        let reach =
            |n: u64, segment: &Segment| if segment.first_n <= n + 1 { n.max(segment.last_n) } else { n };
        Ok(segments.iter().fold(0, reach))
    }

    /// A run's segments in the order of their first lines. They may overlap, since a crash between two writes leaves such
    /// behind.
    pub async fn segments(&self, run: &RunId) -> Result<Vec<Segment>> {
        let prefix = Path::from(format!("logs/{run}"));
        let objects: Vec<_> = self
            .objects
            .list(Some(&prefix))
            .try_collect()
            .await
            .map_err(|error| Error::unavailable("object store", error))?;
        let mut segments: Vec<Segment> =
            objects.into_iter().filter_map(|object| parse_segment(object.location)).collect();
        segments.sort_unstable_by_key(|segment| (segment.first_n, segment.last_n));
        Ok(segments)
    }

    /// Removes all of a log, from Redis and from the archive. Repeating it is harmless.
    pub async fn delete(&self, run: &RunId) -> Result<()> {
        for segment in self.segments(run).await? {
            match self.objects.delete(&segment.path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(Error::unavailable("object store", error)),
            }
        }
        self.forget(run).await
    }

    /// A segment as it is stored.
    pub async fn segment(&self, segment: &Segment) -> Result<Bytes> {
        let unavailable = |error| Error::unavailable("object store", error);
        self.objects.get(&segment.path).await.map_err(unavailable)?.bytes().await.map_err(unavailable)
    }

    /// The lines above `n` in the frame that holds the first of them; none where the archive has none.
    pub(super) async fn read_archive(&self, run: &RunId, n: u64) -> Result<Option<Block>> {
        let segments = self.segments(run).await?;
        // The shortest, which was there first: what was archived once is never replaced.
        let has_next = |segment: &&Segment| segment.first_n <= n + 1 && n < segment.last_n;
        let Some(segment) = segments.iter().filter(has_next).min_by_key(|segment| segment.last_n) else {
            return Ok(None);
        };
        let index = self.read_index(segment).await?;
        let Some(at) = index.frames.iter().position(|frame| n < frame.last_n) else { return Ok(None) };
        let frame = &index.frames[at];
        let end = index.frames.get(at + 1).map_or(index.end, |next| next.offset);
        let compressed = self.get(segment, frame.offset..end).await?;
        let (text_bytes, last_n) = (frame.text_bytes, frame.last_n);
        let block = tokio::task::spawn_blocking(move || {
            decompress(&mut decompressor()?, &compressed, text_bytes, last_n)
        })
        .await
        .map_err(|error| Error::internal("reading an archived log", error))??;
        if n + 1 < block.first_n {
            return Err(Error::internal("reading an archived log", OTHER_LINES));
        }
        Ok(block.after(n))
    }

    /// What the stream holds above `after_n`, up to a segment's bound.
    async fn collect(&self, run: &RunId, after_n: u64, until_n: u64) -> Result<Vec<Block>> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut bytes = 0;
        let mut n = after_n;
        while n < until_n && bytes < SEGMENT_BYTES_MAX {
            let Some(head) = self.head(run).await? else { break };
            let more = self.read_stream(run, &head, n, ENTRIES_MAX).await?;
            let Some(last) = more.last() else { break };
            n = last.last_n;
            bytes += more.iter().map(|block| block.text.len()).sum::<usize>();
            blocks.extend(more);
        }
        Ok(blocks)
    }

    async fn read_index(&self, segment: &Segment) -> Result<Index> {
        let tail = self.get_tail(segment, TAIL_BYTES).await?;
        let length = index_length(&tail)?;
        let tail =
            if length as usize + 8 <= tail.len() { tail } else { self.get_tail(segment, length + 8).await? };
        let start = (tail.len() as u64).checked_sub(length + 8).ok_or_else(broken_index)?;
        parse_index(&tail[start as usize..tail.len() - 8])
    }

    async fn get_tail(&self, segment: &Segment, bytes: u64) -> Result<Bytes> {
        let options = GetOptions { range: Some(GetRange::Suffix(bytes)), ..GetOptions::default() };
        let unavailable = |error| Error::unavailable("object store", error);
        let answer = self.objects.get_opts(&segment.path, options).await.map_err(unavailable)?;
        answer.bytes().await.map_err(unavailable)
    }

    async fn get(&self, segment: &Segment, range: Range<u64>) -> Result<Bytes> {
        let answer = self.objects.get_range(&segment.path, range).await;
        answer.map_err(|error| Error::unavailable("object store", error))
    }
}

/// The lines of a whole segment, a block for each frame. Blocks.
pub(super) fn blocks(object: &[u8]) -> Result<impl Iterator<Item = Result<Block>>> {
    let end = object.len() as u64;
    let start = end.checked_sub(index_length(object)? + 8).ok_or_else(broken_index)?;
    let Index { end, frames } = parse_index(&object[start as usize..object.len() - 8])?;
    let ends: Vec<u64> = frames.iter().skip(1).map(|frame| frame.offset).chain([end]).collect();
    let mut decompressor = decompressor()?;
    Ok(frames.into_iter().zip(ends).map(move |(frame, end)| {
        let compressed = object.get(frame.offset as usize..end as usize).ok_or_else(broken_index)?;
        decompress(&mut decompressor, compressed, frame.text_bytes, frame.last_n)
    }))
}

fn decompressor() -> Result<Decompressor<'static>> {
    Decompressor::new().map_err(|error| Error::internal("reading an archived log", error))
}

/// The lines of a frame. Blocks.
fn decompress(
    decompressor: &mut Decompressor<'_>,
    compressed: &[u8],
    text_bytes: usize,
    last_n: u64,
) -> Result<Block> {
    let text = decompressor
        .decompress(compressed, text_bytes.min(SEGMENT_BYTES_MAX))
        .map_err(|error| Error::internal("reading an archived log", error))?;
    // The index has no checksum, but the frame has, and its lines have their numbers.
    Block::parse(text.into(), last_n)
        .filter(Block::is_numbered)
        .ok_or_else(|| Error::internal("reading an archived log", OTHER_LINES))
}

fn parse_index(json: &[u8]) -> Result<Index> {
    serde_json::from_slice(json)
        .map_err(|error| Error::internal("reading the index of an archived log", error))
}

fn broken_index() -> Error {
    Error::internal("reading the index of an archived log", "the object does not end with an index")
}

fn index_length(tail: &[u8]) -> Result<u64> {
    let Some((rest, magic)) = tail.split_last_chunk::<4>() else { return Err(broken_index()) };
    let Some((_, length)) = rest.split_last_chunk::<4>() else { return Err(broken_index()) };
    if magic != INDEX_MAGIC {
        return Err(broken_index());
    }
    Ok(u64::from(u32::from_le_bytes(*length)))
}

fn segment_path(run: &RunId, first_n: u64, last_n: u64) -> Path {
    Path::from(format!("logs/{run}/{first_n:016}-{last_n:016}.ndjson.zst"))
}

fn parse_segment(path: Path) -> Option<Segment> {
    let (first_n, last_n) = path.filename()?.strip_suffix(".ndjson.zst")?.split_once('-')?;
    Some(Segment { first_n: first_n.parse().ok()?, last_n: last_n.parse().ok()?, path })
}

fn compress(blocks: &[Block]) -> std::io::Result<Vec<u8>> {
    let mut object = Vec::new();
    let mut frames = Vec::new();
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut text: Vec<u8> = Vec::with_capacity(FRAME_BYTES * 2);
    for (at, block) in blocks.iter().enumerate() {
        text.extend_from_slice(&block.text);
        let is_last = at + 1 == blocks.len();
        if FRAME_BYTES <= text.len() || is_last {
            frames.push(Frame { last_n: block.last_n, offset: object.len() as u64, text_bytes: text.len() });
            object.extend_from_slice(&compressor.compress(&text)?);
            text.clear();
        }
    }
    let index = serde_json::to_vec(&Index { end: object.len() as u64, frames })?;
    object.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
    object.extend_from_slice(&(index.len() as u32 + 8).to_le_bytes());
    object.extend_from_slice(&index);
    object.extend_from_slice(&(index.len() as u32).to_le_bytes());
    object.extend_from_slice(INDEX_MAGIC);
    Ok(object)
}
