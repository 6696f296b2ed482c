//! Keyset pagination: a page costs the same wherever it is.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::text::storable;
use crate::error::{Error, Result};

/// How many items a page may have.
pub const LIMIT_MAX: u32 = 100;
pub const LIMIT_DEFAULT: u32 = 20;

/// Longer than any key in base64.
const CURSOR_BYTES_MAX: usize = 2048;

/// Takes every text of the alphabet whose length can be: a pattern can say no more than that.
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// Give it as `cursor` for what follows; null at the end.
    pub next_cursor: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// 1 to [`LIMIT_MAX`]; more counts as that, and 0 as [`LIMIT_DEFAULT`].
    pub limit: u32,
    /// What an earlier page gave: an id in a list of ids, otherwise base64 of the key. One that is not well formed
    /// is refused (`Error::Invalid`, field `cursor`); every other is a place in the list.
    pub cursor: Option<String>,
}

impl PageRequest {
    fn items_max(&self) -> usize {
        match self.limit {
            0 => LIMIT_DEFAULT as usize,
            limit => limit.min(LIMIT_MAX) as usize,
        }
    }

    /// How many rows to ask for: one more than the page has, which tells whether another follows.
    pub(super) fn rows(&self) -> u64 {
        self.items_max() as u64 + 1
    }

    /// The key of the last item before the page. Bytes that no key has are read as U+FFFD.
    pub(super) fn after(&self) -> Result<Option<String>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = if cursor.len() <= CURSOR_BYTES_MAX { BASE64.decode(cursor).ok() } else { None };
        key.map(|key| Some(storable(&key))).ok_or_else(refused)
    }

    /// As `after`, of a list whose keys are ids.
    pub(super) fn after_id<T: std::str::FromStr>(&self) -> Result<Option<T>> {
        self.cursor.as_deref().map(|key| key.parse().map_err(|_| refused())).transpose()
    }

    /// The page, from the rows that were asked for.
    pub(super) fn page<T>(&self, items: Vec<T>, key: impl Fn(&T) -> &str) -> Page<T> {
        let Page { items, next_cursor } = self.page_of_ids(items, key);
        Page { items, next_cursor: next_cursor.map(|key| BASE64.encode(key)) }
    }

    /// As `page`, of a list whose keys are ids.
    pub(super) fn page_of_ids<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> &str) -> Page<T> {
        let more = self.items_max() < items.len();
        items.truncate(self.items_max());
        let last = if more { items.last() } else { None };
        Page { next_cursor: last.map(|item| key(item).to_owned()), items }
    }
}

fn refused() -> Error {
    Error::invalid("cursor", "is not one that an earlier page gave as `nextCursor`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;

    #[test]
    fn a_cursor_leads_back_to_its_item_and_the_last_page_has_none() {
        let first = PageRequest { limit: 2, cursor: None };
        let page = first.page(vec!["a".to_owned(), "é".to_owned(), "z".to_owned()], |item| item);
        assert_eq!(page.items, ["a", "é"]);
        let second = PageRequest { limit: 2, cursor: page.next_cursor };
        assert_eq!(second.after().unwrap().as_deref(), Some("é"));
        assert_eq!(second.page(vec!["z".to_owned()], |item| item).next_cursor, None);
    }

    #[test]
    fn a_limit_outside_its_bounds_is_brought_inside() {
        for (limit, rows) in [(0, 21), (1, 2), (100, 101), (u32::MAX, 101)] {
            assert_eq!(PageRequest { limit, cursor: None }.rows(), rows);
        }
    }

    #[test]
    fn a_cursor_that_is_well_formed_is_a_place_and_any_other_is_refused() {
        for (cursor, place) in [("", ""), ("_w", "\u{fffd}"), ("AA", "\u{fffd}"), ("YR", "a")] {
            let request = PageRequest { limit: 1, cursor: Some(cursor.to_owned()) };
            assert_eq!(request.after().unwrap().as_deref(), Some(place), "{cursor}");
        }
        for cursor in ["!", "YWJj=", "A", &"A".repeat(4000)] {
            let request = PageRequest { limit: 1, cursor: Some(cursor.to_owned()) };
            assert!(
                matches!(request.after(), Err(Error::Invalid { field, .. }) if field == "cursor"),
                "{cursor}"
            );
        }
        let request = PageRequest { limit: 1, cursor: Some("no id".to_owned()) };
        assert!(matches!(request.after_id::<RunId>(), Err(Error::Invalid { .. })));
    }
}
