//! The page of Bull Board, whose own file is filled in.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::board::BASE;
use crate::http::{assets, plain};

const TITLE: &str = "Slipway";
/// Besides its own files: the styles that it makes as it goes.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'self'; \
    frame-ancestors 'none'; form-action 'self'";

pub(super) fn render() -> Response {
    let Some(page) = assets::text("board/index.ejs") else {
        return plain(StatusCode::NOT_FOUND, "This build has no Bull Board: make web, and build again.\n");
    };
    let icon = "static/images/logo.svg";
    let config = json!({
        "boardTitle": TITLE,
        "favIcon": { "default": icon, "alternative": "static/favicon-32x32.png" },
        "miscLinks": [{ "text": "Back to Slipway", "url": "/" }],
        "hideDocsLink": true,
        "showMetrics": true,
        "hasHistoryProvider": false,
        "hasHistoryUsage": false,
        "canPurgeHistory": false,
        "hasLatencyHistory": false,
    });
    let config = config.to_string().replace('<', "\\u003c").replace('>', "\\u003e");
    let filled = without_fonts(&page)
        .replace("<%= basePath %>", &format!("{BASE}/"))
        .replace("<%= title %>", TITLE)
        .replace("<%= favIconAlternative %>", "static/favicon-32x32.png")
        .replace("<%= favIconDefault %>", icon)
        .replace("<%- uiConfig %>", &config);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from(filled)).into_response()
}

/// Leaves out the fonts of a third party, which the page does without.
fn without_fonts(page: &str) -> String {
    let kept = page.lines().filter(|line| !line.contains("https://fonts."));
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let page = "<head>\n  <link href=\"https://fonts.googleapis.com/css2?x\" rel=\"stylesheet\">\n<link href=\"a.css\">\n";
        assert_eq!(without_fonts(page), "<head>\n<link href=\"a.css\">\n");
    }
}
