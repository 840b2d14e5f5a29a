//! Octets of messages and attachments: conditional (RFC 9110 §13) and by range (§14), always as a
//! download that no browser runs (THREATS 28).

use std::{
    fmt::Write as _,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{self, HttpBody},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use posthouse_core::{
    Error,
    blobs::{Body, Pieces},
    mails::Part,
};

use crate::problem::{ApiResult, HttpCode, Problem};

/// Content that never changes under its name.
pub(crate) struct Binary {
    /// Opaque name of this content, without quotes: ids of ours.
    pub tag: String,
    /// Media type as the message says it.
    pub content_type: String,
    /// File name to save as.
    pub filename: String,
    /// The octets.
    pub content: Body,
}

impl Binary {
    /// A part that was found at `path`: digits and dots, then.
    pub(crate) fn part(tag: String, path: &str, part: Part) -> Self {
        let filename = part.filename.unwrap_or_else(|| format!("part-{path}"));
        Self { tag, content_type: part.content_type, filename, content: part.content }
    }

    /// The answer to a request with these header fields.
    pub(crate) fn answer(self, request: &HeaderMap) -> ApiResult<Response> {
        let tag = format!("\"{}\"", self.tag);
        if matches(request, &tag) {
            return Ok(self.describe(&tag, StatusCode::NOT_MODIFIED.into_response()));
        }
        let size = self.content.len();
        let Some(range) = wanted(request, &tag, size)? else {
            let whole = stream(&self.content).into_response();
            return Ok(self.describe(&tag, whole));
        };
        let last = range.end.saturating_sub(1);
        let place = format!("bytes {}-{last}/{size}", range.start);
        let part = (StatusCode::PARTIAL_CONTENT, stream(&self.content.slice(range)));
        let mut response = self.describe(&tag, part.into_response());
        set(&mut response, header::CONTENT_RANGE, &place);
        Ok(response)
    }

    fn describe(&self, tag: &str, mut response: Response) -> Response {
        set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
        set(&mut response, header::CONTENT_TYPE, &self.content_type);
        set(&mut response, header::ETAG, tag);
        set(&mut response, header::ACCEPT_RANGES, "bytes");
        set(&mut response, header::CACHE_CONTROL, "private, no-cache");
        let disposition = format!("attachment; filename*=UTF-8''{}", extended(&self.filename));
        set(&mut response, header::CONTENT_DISPOSITION, &disposition);
        let policy = "default-src 'none'; sandbox; frame-ancestors 'none'";
        set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
        response
    }
}

/// What is in memory goes as it is; what is on disk in pieces, as the client takes them.
fn stream(content: &Body) -> body::Body {
    match content.in_memory() {
        Some(bytes) => bytes.clone().into(),
        None => body::Body::new(Stream { pieces: content.pieces(), left: content.len() }),
    }
}

/// Octets on their way out, of which the length is known.
struct Stream {
    pieces: Pieces,
    left: u64,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let stream = self.get_mut();
        let piece = ready!(stream.pieces.poll_next(cx));
        Poll::Ready(piece.map(|piece| {
            let piece = piece.inspect_err(|error| {
                tracing::error!(error = ?error, "a download was cut off");
            })?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            stream.left = stream.left.saturating_sub(length);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Sets a field unless the value cannot stand in one.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// RFC 8187 §3.2.1 `value-chars`.
fn extended(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a string never fails.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// RFC 9110 §13.1.2, weak comparison.
fn matches(request: &HeaderMap, tag: &str) -> bool {
    let fields = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = fields.filter_map(|field| field.to_str().ok()).flat_map(|text| text.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// The one range that is asked for; several are answered with the whole, as RFC 9110 allows.
fn wanted(request: &HeaderMap, tag: &str, size: u64) -> ApiResult<Option<Range<u64>>> {
    let if_range = request.get(header::IF_RANGE).map(|value| value.as_bytes() == tag.as_bytes());
    if if_range == Some(false) {
        return Ok(None);
    }
    let field = request.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = field
        .and_then(|field| field.strip_prefix("bytes="))
        .filter(|set| !set.contains(','))
        .and_then(|set| set.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(length)) if first.trim().is_empty() => size.saturating_sub(length)..size,
        _ => return Ok(None),
    };
    if range.is_empty() {
        let problem = Problem::http(HttpCode::RangeNotSatisfiable, "the content is shorter");
        let place = HeaderValue::from_str(&format!("bytes */{size}"));
        return Err(match place {
            Ok(place) => problem.with_header(header::CONTENT_RANGE, place),
            Err(_) => problem,
        });
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(fields: &[(&'static str, &'static str)]) -> ApiResult<Response> {
        let mut request = HeaderMap::new();
        for (name, value) in fields {
            request.insert(*name, HeaderValue::from_static(value));
        }
        let binary = Binary {
            tag: "msg_1".to_owned(),
            content_type: "text/html\r\nX: y".to_owned(),
            filename: "ä\r\n\".html".to_owned(),
            content: Bytes::from_static(b"0123456789").into(),
        };
        binary.answer(&request)
    }

    async fn body(response: Response) -> Bytes {
        body::to_bytes(response.into_body(), 100).await.unwrap()
    }

    #[tokio::test]
    async fn content_is_a_harmless_download() {
        let response = ask(&[]).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/octet-stream");
        let name = "attachment; filename*=UTF-8''%C3%A4%0D%0A%22.html";
        assert_eq!(response.headers()["content-disposition"], name);
        assert_eq!(body(response).await.len(), 10);
    }

    #[tokio::test]
    async fn known_content_is_not_sent_again() {
        for known in ["\"msg_1\"", "W/\"msg_1\"", "\"x\", \"msg_1\"", "*"] {
            let response = ask(&[("if-none-match", known)]).unwrap();
            assert_eq!(response.status(), 304);
            assert!(body(response).await.is_empty());
        }
        assert_eq!(ask(&[("if-none-match", "\"x\"")]).unwrap().status(), 200);
    }

    #[tokio::test]
    async fn ranges_are_cut_out() {
        let cases = [
            ("bytes=2-4", "234"),
            ("bytes=8-", "89"),
            ("bytes=-3", "789"),
            ("bytes=5-99", "56789"),
        ];
        for (range, expected) in cases {
            let response = ask(&[("range", range)]).unwrap();
            assert_eq!(response.status(), 206, "{range}");
            assert_eq!(body(response).await, expected);
        }
        for range in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
            assert_eq!(ask(&[("range", range)]).unwrap().status(), 200, "{range}");
        }
        assert_eq!(ask(&[("range", "bytes=1-2"), ("if-range", "\"x\"")]).unwrap().status(), 200);
        for range in ["bytes=10-", "bytes=-0"] {
            assert!(ask(&[("range", range)]).is_err(), "{range}");
        }
    }
}
