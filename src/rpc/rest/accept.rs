//! In which form an answer is given: what the caller takes, of what there is.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::rpc::rest::endpoint::Form;

/// The form that the caller likes best, the first among equals; none if it takes none of them.
///
/// A range that cannot be read is left out. Without any header, every form will do.
pub(super) fn choose(headers: &HeaderMap, offered: &[Form]) -> Option<Form> {
    let ranges: Vec<Range> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(u16, Form)> = None;
    for form in offered {
        // The most exact range decides how much the form is liked.
        let range = ranges.iter().filter(|range| range.matches(form.media_type()));
        let Some(range) = range.max_by_key(|range| range.exactness()) else { continue };
        if 0 < range.quality && best.is_none_or(|(quality, _)| quality < range.quality) {
            best = Some((range.quality, *form));
        }
    }
    best.map(|(_, form)| form)
}

struct Range {
    media_type: String,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next()?.to_ascii_lowercase();
        if media_type != "*" && media_type.split('/').filter(|part| !part.is_empty()).count() != 2 {
            return None;
        }
        let mut quality = 1_000;
        for part in parts {
            if let Some(value) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
                let value: f32 = value.trim().parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
                quality = (value * 1_000.0) as u16;
            }
        }
        Some(Self { media_type, quality })
    }

    fn matches(&self, media_type: &str) -> bool {
        match self.media_type.as_str() {
            "*" | "*/*" => true,
            range => match range.strip_suffix("/*") {
                Some(kind) => media_type.split('/').next() == Some(kind),
                None => range == media_type,
            },
        }
    }

    fn exactness(&self) -> u8 {
        u8::from(!self.media_type.starts_with('*')) + u8::from(!self.media_type.ends_with('*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: Option<&str>) -> Option<Form> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        choose(&headers, &[Form::Json, Form::Lines, Form::Text])
    }

    #[test]
    fn the_caller_gets_what_it_likes_best() {
        for (accept, expected) in [
            (None, Some(Form::Json)),
            (Some("*/*"), Some(Form::Json)),
            (Some("text/plain"), Some(Form::Text)),
            (Some("TEXT/*"), Some(Form::Text)),
            (Some("text/plain;q=0.5, application/x-ndjson"), Some(Form::Lines)),
            (Some("*/*;q=0.1, text/plain;q=0.2"), Some(Form::Text)),
            (Some("application/json;q=0, */*"), Some(Form::Lines)),
            (Some("application/json; charset=utf-8"), Some(Form::Json)),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Form::Json)),
            (Some("nonsense"), Some(Form::Json)),
            (Some("image/png"), None),
            (Some("application/json;q=0"), None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }
}
