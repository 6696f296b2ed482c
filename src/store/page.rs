//! Keyset pagination: a page costs the same wherever it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::error::{Error, Result};

/// How many items a page may have.
pub const LIMIT_MAX: u32 = 100;
pub const LIMIT_DEFAULT: u32 = 20;

/// Longer than any key in base64.
const CURSOR_BYTES_MAX: usize = 2048;

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
    /// What an earlier page gave. One that no page gave is refused (`Error::Invalid`, field `cursor`).
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

    /// The key of the last item before the page.
    pub(super) fn after(&self) -> Result<Option<String>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = if cursor.len() <= CURSOR_BYTES_MAX { URL_SAFE_NO_PAD.decode(cursor).ok() } else { None };
        key.and_then(|key| String::from_utf8(key).ok())
            .filter(|key| !key.is_empty() && !key.contains('\0'))
            .map(Some)
            .ok_or_else(refused)
    }

    /// As `after`, of a list whose keys are ids.
    pub(super) fn after_id<T: std::str::FromStr>(&self) -> Result<Option<T>> {
        self.after()?.map(|key| key.parse().map_err(|_| refused())).transpose()
    }

    /// The page, from the rows that were asked for.
    pub(super) fn page<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> &str) -> Page<T> {
        let more = self.items_max() < items.len();
        items.truncate(self.items_max());
        let last = if more { items.last() } else { None };
        Page { next_cursor: last.map(|item| URL_SAFE_NO_PAD.encode(key(item))), items }
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
    fn a_cursor_that_no_page_gave_is_refused() {
        for cursor in ["", "!", "YWJj=", "_w", "AA", &"A".repeat(4000)] {
            let request = PageRequest { limit: 1, cursor: Some(cursor.to_owned()) };
            assert!(
                matches!(request.after(), Err(Error::Invalid { field, .. }) if field == "cursor"),
                "{cursor}"
            );
        }
        let request = PageRequest { limit: 1, cursor: Some(URL_SAFE_NO_PAD.encode("no id")) };
        assert!(matches!(request.after_id::<RunId>(), Err(Error::Invalid { .. })));
    }
}
