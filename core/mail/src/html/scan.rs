//! How much of an HTML text can be given to the parser: it takes the square of the depth of tags that
//! stay open, so that 100 KB can keep it busy for minutes.
//!
//! Counts at least as many open elements as the parser will have: what it might close in ways that
//! are not followed here (implied ends, the adoption agency) stays counted.

/// Most tags.
const MAX_TAGS: usize = 20_000;
/// Most elements open at a time; tables of mail nest to about 30.
const MAX_OPEN: usize = 256;
/// Most of both together: each tag with the elements open around it.
const MAX_WORK: usize = 500_000;
/// Most octets of text that are copied: the parser takes a text in pieces, which end at line ends and
/// character references, and copies what it has with each.
const MAX_COPIED: usize = 500_000_000;

/// Elements that never have others inside, end themselves, or are ignored.
const UNCOUNTED: [&str; 27] = [
    "area", "base", "body", "br", "col", "dd", "dt", "embed", "head", "hr", "html", "img", "input",
    "li", "link", "meta", "option", "p", "param", "source", "tbody", "td", "tfoot", "th", "thead",
    "tr", "wbr",
];

/// Elements whose content is text to the parser, except where it is within SVG or `MathML`.
const TEXTS: [&str; 8] =
    ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

/// How many octets from the beginning are harmless to parse.
pub(super) fn harmless(html: &str) -> usize {
    let mut scan =
        Scan { open: Vec::new(), foreign: false, text: None, tags: 0, work: 0, copied: 0, run: 0 };
    let mut at = 0;
    while let Some(found) = html.get(at..).and_then(|rest| rest.find('<')) {
        let start = at + found;
        if let Some(most) = scan.run(html.get(at..start).unwrap_or("")) {
            return at + most;
        }
        let rest = html.get(start + 1..).unwrap_or("");
        at = start + 1 + after_markup(rest, scan.text.is_some());
        if !scan.tag(rest) {
            return start;
        }
    }
    let most = html.get(at..).and_then(|rest| scan.run(rest));
    most.map_or(html.len(), |most| at + most)
}

struct Scan<'a> {
    /// Names of open elements, outermost first.
    open: Vec<&'a str>,
    /// There was SVG or `MathML`, where any element can be left open.
    foreign: bool,
    /// Within an element whose content may be text.
    text: Option<&'a str>,
    tags: usize,
    work: usize,
    copied: usize,
    /// Octets of the text so far.
    run: usize,
}

impl<'a> Scan<'a> {
    /// Notes text between tags; gives how much of it is not too much, unless all is fine.
    fn run(&mut self, text: &str) -> Option<usize> {
        for (at, byte) in text.bytes().enumerate() {
            self.run += 1;
            if matches!(byte, b'&' | b'\n' | b'\r' | 0) {
                self.copied += self.run;
            }
            if self.copied > MAX_COPIED {
                return Some(text.floor_char_boundary(at));
            }
        }
        None
    }

    /// Notes the tag that `rest` is after `<`; false: it is too much.
    fn tag(&mut self, rest: &'a str) -> bool {
        let (closing, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.run += 1;
            self.copied += self.run;
            return self.copied <= MAX_COPIED;
        }
        self.run = 0;
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        let name = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.tags += 1;
        self.work += self.open.len();
        if closing {
            self.close(name);
        } else {
            self.open(name);
        }
        self.tags <= MAX_TAGS && self.work <= MAX_WORK && self.open.len() <= MAX_OPEN
    }

    fn open(&mut self, name: &'a str) {
        self.foreign |= is(name, &["svg", "math"]);
        if self.text.is_none() && is(name, &TEXTS) {
            self.text = Some(name);
        }
        if self.foreign || !is(name, &UNCOUNTED) {
            self.open.push(name);
        }
    }

    fn close(&mut self, name: &str) {
        match self.text {
            // What looks like an end within text is none.
            Some(text) if !text.eq_ignore_ascii_case(name) => return,
            _ => self.text = None,
        }
        let is_table = name.eq_ignore_ascii_case("table");
        for index in (0..self.open.len()).rev() {
            let Some(open) = self.open.get(index) else { return };
            if open.eq_ignore_ascii_case(name) {
                self.open.remove(index);
                return;
            }
            // Nothing outside of a table, or of a cell of it, ends within.
            if !is_table && open.eq_ignore_ascii_case("table") {
                return;
            }
        }
    }
}

fn is(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Where the markup ends that `rest` is after `<`. Within what may be text, no attribute hides a tag.
fn after_markup(rest: &str, in_text: bool) -> usize {
    if let Some(comment) = rest.strip_prefix("!--") {
        if comment.starts_with('>') || comment.starts_with("->") || in_text {
            return 3;
        }
        let end = comment.find("-->").into_iter().chain(comment.find("--!>")).min();
        return end.map_or(rest.len(), |end| 3 + end);
    }
    let name = rest.strip_prefix('/').unwrap_or(rest);
    if in_text || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return 0;
    }
    let mut bytes = rest.bytes().enumerate().peekable();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'>' => return index + 1,
            b'=' => {
                while bytes.next_if(|(_, byte)| byte.is_ascii_whitespace()).is_some() {}
                let quote = bytes.next_if(|(_, byte)| matches!(byte, b'"' | b'\'')).map(|(_, b)| b);
                match quote {
                    Some(quote) => {
                        bytes.by_ref().find(|(_, byte)| *byte == quote);
                    }
                    None => {
                        while bytes
                            .next_if(|(_, b)| !b.is_ascii_whitespace() && *b != b'>')
                            .is_some()
                        {}
                    }
                }
            }
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_mail_is_taken_whole() {
        let row = "<tr><td style='a' title=\"<b>\"><p>x<br><img src=x></td></tr>";
        let table = format!("<table width=1>{}</table><!-- <div> -->", row.repeat(100));
        for html in [
            table.repeat(10),
            "<p>x<li>y<b>z</b>".repeat(1000),
            "<style>a > b { c: '<' }</style>".repeat(100),
            "1 < 2 <3 </ x <! y>".repeat(1000),
            format!(
                "<pre>{}</pre>",
                "a line of text, of ordinary length &amp; content\n".repeat(3000)
            ),
        ] {
            assert_eq!(harmless(&html), html.len(), "{}", html.get(..60).unwrap());
        }
    }

    #[test]
    fn what_stays_open_is_cut() {
        for piece in [
            "<div>",
            "<b>",
            "<div a=\"</div>\">",
            "<div \"></div \">",
            "<div></span>",
            "<div><table><td></div>",
            "<b><div></b>",
            "<div><!-- </div> -->",
            "<div><script></div></script>",
            "<svg><td>",
            "<svg><title><div></title>",
            "<font color=a>",
            "<DIV\n>",
            "<div/>",
        ] {
            let html = piece.repeat(20_000);
            let most = 4 * MAX_OPEN * piece.len();
            let fine = harmless(&html) <= most || piece == "<div \"></div \">";
            assert!(fine, "{piece} {}", harmless(&html));
        }
    }
}
