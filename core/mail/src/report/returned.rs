//! What a report returns of the message that it is about.

use super::{MAX_PART, octets};
use crate::{
    address::{Address, parse_address_list},
    encoded_word::unfold,
    message::{header_fields, message_ids, split_header},
    parse::Part,
};

/// Most addresses that are kept.
const MAX_ADDRESSES: usize = 1000;

/// What a report returns of the message that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Message-ID with angle brackets.
    pub message_id: Option<String>,
    /// Return-Path: where reports were to go.
    pub return_path: Option<Address>,
    /// To and Cc, and what providers add to tell whose complaint it is.
    pub recipients: Vec<Address>,
}

impl Returned {
    /// Reads the part that holds the message or its header.
    pub(super) fn read(message: &[u8], part: Option<&Part>) -> Self {
        let Some(part) = part else { return Self::default() };
        // The header of an embedded message may be larger than what is looked at: cut, not refused.
        match part.children.first() {
            Some(root) => {
                let length = root.header_length.min(MAX_PART);
                let end = root.header_offset.saturating_add(length).min(message.len());
                Self::of_header(message.get(root.header_offset..end).unwrap_or(&[]))
            }
            None => Self::of_text(&octets(message, part)),
        }
    }

    /// Reads a message, or the part of it that is there.
    pub(super) fn of_text(text: &[u8]) -> Self {
        let start = text.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(text.len());
        let text = text.get(start..).unwrap_or(&[]);
        Self::of_header(split_header(text).map_or(text, |(header, _)| header))
    }

    fn of_header(header: &[u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in header_fields(header) {
            found.note(&name.to_ascii_lowercase(), value);
        }
        found
    }

    fn note(&mut self, name: &str, value: &[u8]) {
        match name {
            "message-id" if self.message_id.is_none() => {
                self.message_id = message_ids(value).into_iter().next();
            }
            "return-path" if self.return_path.is_none() => {
                self.return_path = bare_address(&unfold(value));
            }
            "to" | "cc" | "x-original-to" | "delivered-to" | "x-hmxmroriginalrecipient" => {
                let room = MAX_ADDRESSES.saturating_sub(self.recipients.len());
                let addresses = parse_address_list(value).addresses.into_iter();
                let addresses = addresses.filter_map(|one| Address::parse(&one.email).ok());
                self.recipients.extend(addresses.take(room));
            }
            _ => {}
        }
    }
}

/// An address with or without angle brackets.
pub(super) fn bare_address(text: &str) -> Option<Address> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>').trim();
    Address::parse(text).ok()
}
