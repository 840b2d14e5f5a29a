//! Rendering: a part of the language of Jinja that cannot read anything, run for ever, or make large
//! values out of small ones.
//!
//! Work is bounded by fuel, and what is printed by the size of the output. Neither bounds what an
//! expression makes in between (`a ~ a ~ a …`, `{% set %}` around a loop), so there are no operators,
//! blocks and filters that build texts: the tokens of a template are looked at before it is taken.

use std::{io, ops::Range, sync::LazyLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter, filters,
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
    tests,
    value::{Serde, ValueKind},
};
use serde_json::Map;

use super::{Parts, Rendered};
use crate::error::FieldError;

/// Steps of one part of a template.
const FUEL: u64 = 50_000;
/// Octets that one part may become.
const MAX_OUTPUT: usize = 1024 * 1024;
/// Most missing variables that are told at once.
const MAX_MISSING: usize = 20;
/// What may stand after `{%`.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

const SUBJECT: &str = "subject";
const TEXT: &str = "text";
const HTML: &str = "html";

/// All that templates can do.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::empty();
    language.set_fuel(Some(FUEL));
    // Errors say where they are.
    language.set_debug(true);
    language.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    language.set_auto_escape_callback(|name| match name {
        HTML => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    language.set_formatter(|out, state, value| match value.kind() {
        // JSON's null is nothing, not the word "none".
        ValueKind::None => Ok(()),
        _ => escape_formatter(out, state, value),
    });
    language.add_filter("escape", filters::escape);
    language.add_filter("e", filters::escape);
    language.add_filter("safe", filters::safe);
    language.add_filter("default", filters::default);
    language.add_filter("upper", filters::upper);
    language.add_filter("lower", filters::lower);
    language.add_filter("title", filters::title);
    language.add_filter("capitalize", filters::capitalize);
    language.add_filter("trim", filters::trim);
    language.add_filter("length", filters::length);
    language.add_filter("first", filters::first);
    language.add_filter("last", filters::last);
    language.add_filter("round", filters::round);
    language.add_filter("urlencode", filters::urlencode);
    language.add_test("defined", tests::is_defined);
    language.add_test("undefined", tests::is_undefined);
    language.add_test("none", tests::is_none);
    language.add_test("odd", tests::is_odd);
    language.add_test("even", tests::is_even);
    language.add_test("string", tests::is_string);
    language.add_test("number", tests::is_number);
    language
});

/// A version that is ready to be rendered.
pub(super) struct Compiled {
    version: i32,
    language: Environment<'static>,
    has_text: bool,
    has_html: bool,
}

impl Compiled {
    /// Reads all parts; tells what is wrong with each.
    pub(super) fn new(version: i32, parts: &Parts) -> Result<Self, Vec<FieldError>> {
        let mut language = LANGUAGE.clone();
        let mut faults = Vec::new();
        let texts = [
            (SUBJECT, Some(&parts.subject)),
            (TEXT, parts.text.as_ref()),
            (HTML, parts.html.as_ref()),
        ];
        for (name, source) in texts {
            let Some(source) = source else { continue };
            let read = harmless(source).and_then(|()| {
                language.add_template_owned(name, source.clone()).map_err(|error| say(&error))
            });
            if let Err(detail) = read {
                faults.push(FieldError::new(format!("/{name}"), "invalid_template", detail));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (has_text, has_html) = (parts.text.is_some(), parts.html.is_some());
        Ok(Self { version, language, has_text, has_html })
    }

    /// Fills in the variables. Takes a while at worst: not for the reactor. `place` is the pointer
    /// to the object with the field `variables`.
    pub(super) fn render(
        &self,
        variables: &Map<String, serde_json::Value>,
        place: &str,
    ) -> Result<Rendered, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut part = |name, wanted: bool| {
            let rendered = wanted.then(|| self.part(name, variables.clone(), place, &mut faults));
            rendered.flatten()
        };
        let subject = part(SUBJECT, true);
        let text = part(TEXT, self.has_text);
        let html = part(HTML, self.has_html);
        let subject = subject.as_deref().map(str::trim).unwrap_or_default().to_owned();
        if subject.chars().any(char::is_control) {
            let detail = "the subject gets a line break or control character from a variable";
            let pointer = format!("{place}/variables");
            faults.push(FieldError::new(pointer, "control_character", detail));
        }
        let mut told = std::collections::HashSet::new();
        faults.retain(|fault: &FieldError| told.insert((fault.pointer.clone(), fault.code)));
        if faults.is_empty() {
            Ok(Rendered { version: self.version, subject, text, html })
        } else {
            Err(faults)
        }
    }

    /// One part. Something harmless stands in for each missing variable, to find the next one.
    fn part(
        &self,
        name: &str,
        mut variables: Map<String, serde_json::Value>,
        place: &str,
        faults: &mut Vec<FieldError>,
    ) -> Option<String> {
        let before = faults.len();
        while faults.len() < before + MAX_MISSING {
            let error = match self.try_part(name, &variables) {
                Ok(text) => return (faults.len() == before).then_some(text),
                Err(error) => error,
            };
            let missing = missing(&error);
            let path: Vec<&str> = missing.map(|name| name.split('.').collect()).unwrap_or_default();
            faults.push(fault(&error, missing, &path, place));
            if !self.stand_in(name, &mut variables, &path) {
                return None;
            }
        }
        None
    }

    fn try_part(
        &self,
        name: &str,
        variables: &Map<String, serde_json::Value>,
    ) -> Result<String, Error> {
        let mut output = Bounded(Vec::new());
        let template = self.language.get_template(name)?;
        template.render_captured_to(Value::from(Serde(variables)), &mut output)?;
        let refused = |_| Error::new(ErrorKind::WriteFailure, "the output is not UTF-8");
        String::from_utf8(output.0).map_err(refused)
    }

    /// Puts something at `path`; false where nothing can stand, or something does.
    fn stand_in(
        &self,
        name: &str,
        variables: &mut Map<String, serde_json::Value>,
        path: &[&str],
    ) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let root = parents.first().unwrap_or(last);
        // The variable of a loop is none of the caller's.
        let template = self.language.get_template(name);
        if !template.is_ok_and(|one| one.undeclared_variables(false).contains(*root)) {
            return false;
        }
        let mut place = variables;
        for parent in parents {
            let next = place.entry(*parent).or_insert_with(|| Map::new().into());
            let Some(object) = next.as_object_mut() else { return false };
            place = object;
        }
        if place.contains_key(*last) {
            return false;
        }
        // Can be printed and gone through, and has no fields.
        place.insert((*last).to_owned(), serde_json::Value::Array(Vec::new()));
        true
    }
}

/// Whether all that the template does is bounded; else what is not.
fn harmless(source: &str) -> Result<(), String> {
    let mut follows_block = false;
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|error| say(&error))?;
        let refuse = |what: &str| Err(format!("{what} in line {}", span.start_line));
        match &token {
            Token::Ident(name) if follows_block && !STATEMENTS.contains(name) => {
                return refuse(&format!("{{% {name} %}} is not part of the language"));
            }
            Token::Ident("recursive") => return refuse("loops are not recursive"),
            Token::Plus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Tilde
            | Token::Colon
            | Token::BraceOpen
            | Token::BraceClose => {
                return refuse(&format!("{token} is not part of the language"));
            }
            _ => {}
        }
        follows_block = matches!(token, Token::BlockStart);
    }
    Ok(())
}

/// What is wrong, in words for people.
fn say(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or_else(|| what.clone(), |line| format!("{what} in line {line}"))
}

/// The expression that has no value.
fn missing(error: &Error) -> Option<&str> {
    if error.kind() != ErrorKind::UndefinedError {
        return None;
    }
    let Range { start, end } = error.range()?;
    let text = error.template_source()?.get(start..end)?;
    let is_name = |name: &str| {
        let starts = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
        starts && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    };
    text.split('.').all(is_name).then_some(text)
}

fn fault(error: &Error, missing: Option<&str>, path: &[&str], place: &str) -> FieldError {
    let part = error.name().unwrap_or("template");
    match error.kind() {
        ErrorKind::UndefinedError => {
            let pointer: String = path.iter().flat_map(|step| ["/", *step]).collect();
            let line = error.line().unwrap_or(1);
            let what = missing.unwrap_or("something");
            let detail = format!("{what} has no value; line {line} of {part} needs it");
            FieldError::new(format!("{place}/variables{pointer}"), "missing_variable", detail)
        }
        ErrorKind::OutOfFuel => {
            let detail = format!("{part} takes too many steps");
            FieldError::new(place, "template_too_long", detail)
        }
        ErrorKind::WriteFailure => {
            let detail = format!("{part} becomes larger than {MAX_OUTPUT} octets");
            FieldError::new(place, "template_too_long", detail)
        }
        _ => {
            let detail = format!("{part}: {}", say(error));
            FieldError::new(format!("{place}/variables"), "template_failed", detail)
        }
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
