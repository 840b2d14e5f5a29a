//! HTML of mail, made harmless for a browser: THREATS 28, FEATURES P6.
//!
//! A list of what is allowed, never of what is not: no scripts, forms, frames, style sheets or SVG;
//! of inline styles only properties that cannot load or cover anything. Nothing is loaded from
//! elsewhere unless asked for. The caller adds a Content-Security-Policy that says the same again.

mod scan;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ammonia::{Builder, UrlRelative};

/// Most octets of HTML that are looked at.
pub const MAX_HTML: usize = 1024 * 1024;
/// Most octets of a `data:` URL.
const MAX_DATA_URL: usize = 256 * 1024;

/// HTML that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clean {
    /// What belongs into `<body>`.
    pub html: String,
    /// Images elsewhere that are not loaded.
    pub blocked: usize,
    /// It was cut off.
    pub truncated: bool,
}

/// Whether images elsewhere are loaded, which tells the sender that the mail is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// Never.
    Block,
    /// The reader asked for them.
    Load,
}

const TAGS: [&str; 60] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "wbr",
];

const STYLES: [&str; 62] = [
    "background",
    "background-color",
    "border",
    "border-bottom",
    "border-bottom-color",
    "border-bottom-style",
    "border-bottom-width",
    "border-collapse",
    "border-color",
    "border-left",
    "border-left-color",
    "border-left-style",
    "border-left-width",
    "border-radius",
    "border-right",
    "border-right-color",
    "border-right-style",
    "border-right-width",
    "border-spacing",
    "border-style",
    "border-top",
    "border-top-color",
    "border-top-style",
    "border-top-width",
    "border-width",
    "caption-side",
    "clear",
    "color",
    "direction",
    "display",
    "empty-cells",
    "float",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-variant",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-height",
    "max-width",
    "min-height",
    "min-width",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "vertical-align",
    "white-space",
    "width",
];

/// Makes HTML harmless. `parts` says where the part with a Content-ID is.
#[expect(clippy::implicit_hasher, reason = "the filter keeps the map, and there is one caller")]
pub fn sanitise(html: &str, remote: Remote, parts: HashMap<String, String>) -> Clean {
    let cut = cut(html);
    let blocked = Arc::new(AtomicUsize::new(0));
    let filter = Filter { remote, blocked: blocked.clone(), parts };
    let clean = builder()
        .attribute_filter(move |tag, name, value| filter.attribute(tag, name, value))
        .clean(cut)
        .to_string();
    let blocked = blocked.load(Ordering::Relaxed);
    Clean { html: clean, blocked, truncated: cut.len() < html.len() }
}

/// Text as HTML.
pub fn from_text(text: &str) -> String {
    format!("<pre style=\"white-space:pre-wrap\">{}</pre>", escape(text))
}

/// Text as it can stand in HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// As much as is looked at.
fn cut(html: &str) -> &str {
    let html = html.get(..html.floor_char_boundary(MAX_HTML)).unwrap_or("");
    html.get(..scan::harmless(html)).unwrap_or("")
}

fn builder<'a>() -> Builder<'a> {
    let mut builder = Builder::empty();
    let size = ["align", "valign", "width", "height", "bgcolor"];
    let cell = size.into_iter().chain(["colspan", "rowspan", "nowrap", "headers", "scope"]);
    let cell: HashSet<&str> = cell.collect();
    let table = size.into_iter().chain(["border", "cellpadding", "cellspacing", "summary"]);
    builder
        .tags(TAGS.into())
        .clean_content_tags(["script", "style", "title", "template", "noscript"].into())
        .generic_attributes(["dir", "lang", "title", "style"].into())
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("img", HashSet::from(["src", "alt", "width", "height", "align", "border"])),
            ("font", HashSet::from(["color", "face", "size"])),
            ("table", table.collect()),
            ("td", cell.clone()),
            ("th", cell),
            ("tr", size.into()),
            ("col", HashSet::from(["span", "width", "align"])),
            ("colgroup", HashSet::from(["span", "width", "align"])),
            ("ol", HashSet::from(["start", "type"])),
            ("ul", HashSet::from(["type"])),
            ("div", HashSet::from(["align"])),
            ("p", HashSet::from(["align"])),
            ("hr", HashSet::from(["align", "size", "width", "color"])),
        ]))
        .url_schemes(["http", "https", "mailto", "tel", "cid", "data"].into())
        // The filter decides of each URL; what it writes for a part is relative.
        .url_relative(UrlRelative::PassThrough)
        .filter_style_properties(STYLES.into())
        .set_tag_attribute_value("a", "target", "_blank")
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
}

struct Filter {
    remote: Remote,
    blocked: Arc<AtomicUsize>,
    parts: HashMap<String, String>,
}

impl Filter {
    fn attribute<'v>(&self, tag: &str, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
        match (tag, name) {
            ("img", "src") => self.image(value),
            (_, "src") => None,
            (_, "href") => {
                let scheme = scheme(value);
                let known = ["http", "https", "mailto", "tel"];
                scheme.is_some_and(|scheme| known.contains(&&*scheme)).then_some(value.into())
            }
            (_, "style") => Some(style(value).into()),
            _ => Some(value.into()),
        }
    }

    fn image<'v>(&self, value: &'v str) -> Option<Cow<'v, str>> {
        match scheme(value)?.as_str() {
            "cid" => {
                let id = value.trim().get("cid:".len()..)?;
                self.parts.get(&percent_decoded(id)).cloned().map(Cow::Owned)
            }
            "data" => is_picture(value).then_some(value.into()),
            "http" | "https" if self.remote == Remote::Load => Some(value.into()),
            "http" | "https" => {
                self.blocked.fetch_add(1, Ordering::Relaxed);
                None
            }
            _ => None,
        }
    }
}

/// The scheme of an absolute URL, as a browser sees it.
fn scheme(url: &str) -> Option<String> {
    let url = url.trim_matches(|c: char| c.is_ascii_control() || c == ' ');
    let (scheme, _) = url.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    // A browser drops tabs and line ends within; such a URL is not worth guessing.
    scheme.chars().all(fits).then(|| scheme.to_ascii_lowercase())
}

/// `data:` with a picture made of points; SVG is a document.
fn is_picture(url: &str) -> bool {
    let lower: String = url.trim_start().chars().take(40).collect::<String>().to_ascii_lowercase();
    let kinds = ["png", "gif", "jpeg", "jpg", "webp", "bmp"];
    url.len() <= MAX_DATA_URL
        && kinds.iter().any(|kind| {
            let rest = lower.strip_prefix("data:image/").and_then(|rest| rest.strip_prefix(kind));
            rest.is_some_and(|rest| rest.starts_with([';', ',']))
        })
}

/// Declarations without anything that could load; which properties stay is decided later.
fn style(value: &str) -> String {
    // An escape or comment could hide a function.
    if value.contains(['\\', '@', '<', '{']) || value.contains("/*") {
        return String::new();
    }
    let harmless = |declaration: &&str| {
        let lower = declaration.to_ascii_lowercase();
        let loads = ["url", "image", "expression", "element(", "attr(", "src(", "javascript"];
        !loads.iter().any(|word| lower.contains(word))
    };
    value.split(';').filter(harmless).collect::<Vec<_>>().join(";")
}

/// RFC 2392: the id in a `cid:` URL is percent-encoded.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octet = if *first == b'%' { crate::encoded_word::hex_pair(after) } else { None };
        out.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { after.get(2..).unwrap_or(&[]) } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
