//! Finding the parts of a message in one pass over its lines, with a stack of open entities instead of recursion.
//!
//! RFC 2046 §5.1: an outer delimiter ends all inner entities. When a budget is used up, what follows stays
//! in the part it is found in.

use super::{
    MAX_DEPTH, MAX_PARTS, Part,
    describe::{Context, describe},
    transfer,
};

/// The tree of parts of a message.
pub(super) fn read(message: &[u8]) -> Part {
    let mut scanner = Scanner { message, nodes: Vec::new(), open: Vec::new() };
    scanner.start(0, Context::Top);
    let mut at = 0;
    for line in message.split_inclusive(|&b| b == b'\n') {
        scanner.line(line, at);
        at += line.len();
    }
    scanner.close_down_to(0, message.len());
    assemble(scanner.nodes)
}

/// Whether the header of a part has octets above 127, which only SMTPUTF8 carries (RFC 6532 §3.7).
pub(crate) fn has_8bit_part_header(message: &[u8]) -> bool {
    let mut stack = vec![read(message)];
    while let Some(part) = stack.pop() {
        let end = part.header_offset + part.header_length;
        if !message.get(part.header_offset..end).unwrap_or(&[]).is_ascii() {
            return true;
        }
        stack.extend(part.children);
    }
    false
}

enum State {
    Header(Context),
    Leaf,
    /// Waiting for delimiters; `false` after the closing one.
    Multipart {
        boundary: Vec<u8>,
        digest: bool,
        accepts: bool,
    },
    Message,
}

struct Open {
    node: usize,
    state: State,
}

struct Node {
    part: Part,
    parent: Option<usize>,
    children: usize,
}

struct Scanner<'a> {
    message: &'a [u8],
    nodes: Vec<Node>,
    open: Vec<Open>,
}

impl Scanner<'_> {
    fn start(&mut self, at: usize, context: Context) {
        let parent = self.open.last().map(|open| open.node);
        let position = match parent.and_then(|parent| self.nodes.get_mut(parent)) {
            Some(node) => {
                node.children += 1;
                node.children
            }
            None => 1,
        };
        let prefix =
            parent.and_then(|parent| self.nodes.get(parent)).map(|node| node.part.path.as_str());
        let path = child_path(prefix.unwrap_or(""), position);
        let part = Part { path, header_offset: at, ..Part::default() };
        self.open.push(Open { node: self.nodes.len(), state: State::Header(context) });
        self.nodes.push(Node { part, parent, children: 0 });
    }

    fn line(&mut self, line: &[u8], at: usize) {
        if line.starts_with(b"--")
            && self.nodes.len() < MAX_PARTS
            && let Some((level, closing)) = self.delimiter(line)
        {
            self.delimit(level, closing, at, at + line.len());
            return;
        }
        let is_header = matches!(self.open.last(), Some(Open { state: State::Header(_), .. }));
        if is_header && matches!(line, b"\r\n" | b"\n") {
            self.end_header(at + line.len());
        }
    }

    /// The innermost open multipart whose delimiter this line is, and whether it is the closing one.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.get(2..)?.trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let State::Multipart { boundary, accepts: true, .. } = &open.state else {
                return None;
            };
            match text.strip_prefix(boundary.as_slice())? {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    fn delimit(&mut self, level: usize, closing: bool, line_start: usize, line_end: usize) {
        self.close_down_to(level + 1, line_start);
        let Some(Open { state: State::Multipart { digest, accepts, .. }, .. }) =
            self.open.last_mut()
        else {
            return;
        };
        let context = if *digest { Context::Digest } else { Context::Multipart };
        if closing {
            *accepts = false;
        } else {
            self.start(line_end, context);
        }
    }

    /// Ends the entities from the innermost to `level`; the line end before a delimiter belongs to the delimiter.
    fn close_down_to(&mut self, level: usize, at: usize) {
        let before = self.message.get(..at).unwrap_or(self.message);
        let is_delimiter = level > 0;
        let end = match before.strip_suffix(b"\n") {
            Some(rest) if is_delimiter => rest.strip_suffix(b"\r").unwrap_or(rest).len(),
            _ => at,
        };
        while self.open.len() > level {
            let Some(open) = self.open.pop() else { return };
            self.finish(&open, end);
        }
    }

    fn finish(&mut self, open: &Open, end: usize) {
        let message = self.message;
        let Some(node) = self.nodes.get_mut(open.node) else {
            return;
        };
        let has_children = node.children > 0;
        let part = &mut node.part;
        if let State::Header(context) = open.state {
            let end = end.max(part.header_offset);
            part.header_length = end - part.header_offset;
            part.body_offset = end;
            describe(part, message, context);
        }
        let end = end.max(part.body_offset);
        part.body_length = end - part.body_offset;
        let body = message.get(part.body_offset..end).unwrap_or(&[]);
        part.lines = count_lines(body);
        if part.content_type.starts_with("multipart/") && !has_children {
            "application/octet-stream".clone_into(&mut part.content_type);
        }
        if !part.content_type.starts_with("multipart/") {
            part.decoded_size = transfer::decoded_size(&part.encoding, body);
        }
        if part.path.is_empty() && !has_children {
            "1".clone_into(&mut part.path);
        }
    }

    fn end_header(&mut self, body: usize) {
        let depth = self.open.len();
        let full = self.nodes.len() >= MAX_PARTS || depth >= MAX_DEPTH;
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let Some(node) = self.nodes.get_mut(open.node) else {
            return;
        };
        let State::Header(context) = open.state else {
            return;
        };
        let part = &mut node.part;
        part.header_length = body - part.header_offset;
        part.body_offset = body;
        describe(part, self.message, context);
        let identity = !matches!(part.encoding.as_str(), "base64" | "quoted-printable");
        let boundary = part.params.get("boundary").filter(|boundary| !boundary.is_empty());
        let is_message = is_embedded_message(part);
        open.state = match boundary {
            Some(boundary) if part.content_type.starts_with("multipart/") && identity && !full => {
                let digest = part.content_type == "multipart/digest";
                fix_path(&mut part.path, context);
                let boundary = boundary.trim_end().as_bytes().to_vec();
                State::Multipart { boundary, digest, accepts: true }
            }
            _ if is_message && identity && !full => State::Message,
            _ => State::Leaf,
        };
        if matches!(open.state, State::Message) {
            self.start(body, Context::Message);
        }
    }
}

/// A multipart at the root has no number of its own: its parts are numbered instead (RFC 9051 §6.4.5).
fn fix_path(path: &mut String, context: Context) {
    match context {
        Context::Top => path.clear(),
        Context::Message => {
            let end = path.rfind('.').unwrap_or(0);
            path.truncate(end);
            path.push_str(".TEXT");
        }
        Context::Multipart | Context::Digest => {}
    }
}

fn child_path(parent: &str, position: usize) -> String {
    let parent = parent.strip_suffix(".TEXT").unwrap_or(parent);
    if parent.is_empty() { position.to_string() } else { format!("{parent}.{position}") }
}

fn count_lines(body: &[u8]) -> usize {
    body.split_inclusive(|&b| b == b'\n').count()
}

/// Children come after their parents, so that going backwards finds each subtree complete.
fn assemble(nodes: Vec<Node>) -> Part {
    let mut parts: Vec<(Part, Option<usize>)> =
        nodes.into_iter().map(|node| (node.part, node.parent)).collect();
    while parts.len() > 1 {
        let Some((mut part, parent)) = parts.pop() else {
            break;
        };
        part.children.reverse();
        hoist_envelope(&mut part);
        if let Some((parent, _)) = parent.and_then(|parent| parts.get_mut(parent)) {
            parent.children.push(part);
        }
    }
    let mut root = parts.pop().map(|(part, _)| part).unwrap_or_default();
    root.children.reverse();
    hoist_envelope(&mut root);
    root
}

fn is_embedded_message(part: &Part) -> bool {
    matches!(part.content_type.as_str(), "message/rfc822" | "message/global")
}

/// The envelope of an embedded message is kept at the part that embeds it.
fn hoist_envelope(part: &mut Part) {
    if is_embedded_message(part)
        && let [child] = part.children.as_mut_slice()
        && child.envelope.is_some()
    {
        part.envelope = child.envelope.take();
    }
}
