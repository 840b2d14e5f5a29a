//! Addresses in requests: a string with an RFC 5322 mailbox, or `{"email", "name"}`; lists of them
//! may also be a single one.

use std::{borrow::Cow, fmt};

use posthouse_core::FieldError;
use posthouse_mail::address::{Address, AddressError, NamedAddress};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type},
};

/// Most addresses of one field.
const MAX_ADDRESSES: usize = 5000;

/// An address with the name of who is there.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NamedAddress, example = json!({"email": "alice@example.test", "name": "Alice"}))]
pub(crate) struct NamedInput {
    /// Address, without name and angle brackets.
    email: String,
    /// Display name, in plain words.
    name: Option<String>,
}

/// One address.
#[derive(Debug, Clone)]
pub(crate) enum AddressInput {
    Text(String),
    Named(NamedInput),
}

/// Addresses; whether one stood there without a list matters for pointers.
#[derive(Debug, Clone)]
pub(crate) enum AddressesInput {
    One(AddressInput),
    Many(Vec<AddressInput>),
}

impl AddressInput {
    /// The address, or what is wrong with it. `pointer` is where it stands.
    pub(crate) fn read(&self, pointer: &str) -> Result<NamedAddress, FieldError> {
        match self {
            Self::Text(text) => {
                NamedAddress::parse(text).map_err(|error| fault(pointer.to_owned(), error))
            }
            Self::Named(named) => {
                let address = Address::parse(&named.email)
                    .map_err(|error| fault(format!("{pointer}/email"), error))?;
                // Line breaks at the ends would be trimmed away without a word.
                let name = named.name.as_deref().unwrap_or_default();
                if name.trim() != name.trim_matches([' ', '\t']) {
                    let error = AddressError::ControlCharacter;
                    return Err(fault(format!("{pointer}/name"), error));
                }
                NamedAddress::new(named.name.as_deref(), address)
                    .map_err(|error| fault(format!("{pointer}/name"), error))
            }
        }
    }
}

impl AddressesInput {
    /// The addresses with the pointers to them.
    pub(crate) fn with_pointers(&self, pointer: &str) -> Vec<(String, &AddressInput)> {
        match self {
            Self::One(address) => vec![(pointer.to_owned(), address)],
            Self::Many(addresses) => {
                let numbered = addresses.iter().enumerate();
                numbered.map(|(index, address)| (format!("{pointer}/{index}"), address)).collect()
            }
        }
    }

    /// Whether it was not a list.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

/// A fault of an address.
pub(crate) fn fault(pointer: String, error: AddressError) -> FieldError {
    let code = match error {
        AddressError::ControlCharacter => "control_character",
        AddressError::TooLong | AddressError::NameTooLong => "too_long",
        _ => "invalid_address",
    };
    FieldError::new(pointer, code, error.to_string())
}

struct OneVisitor;

impl<'de> Visitor<'de> for OneVisitor {
    type Value = AddressInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address as a string, or an object with email and name")
    }

    fn visit_str<E>(self, text: &str) -> Result<AddressInput, E> {
        Ok(AddressInput::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AddressInput, A::Error> {
        NamedInput::deserialize(MapAccessDeserializer::new(map)).map(AddressInput::Named)
    }
}

impl<'de> Deserialize<'de> for AddressInput {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneVisitor)
    }
}

struct ManyVisitor;

impl<'de> Visitor<'de> for ManyVisitor {
    type Value = AddressesInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or a list of addresses")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AddressesInput, E> {
        OneVisitor.visit_str(text).map(AddressesInput::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AddressesInput, A::Error> {
        OneVisitor.visit_map(map).map(AddressesInput::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AddressesInput, A::Error> {
        let mut addresses = Vec::new();
        while let Some(address) = list.next_element()? {
            if addresses.len() == MAX_ADDRESSES {
                let detail = format!("there are more than {MAX_ADDRESSES} addresses");
                return Err(serde::de::Error::custom(detail));
            }
            addresses.push(address);
        }
        Ok(AddressesInput::Many(addresses))
    }
}

impl<'de> Deserialize<'de> for AddressesInput {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ManyVisitor)
    }
}

fn text_schema() -> Schema {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "RFC 5322 mailbox: `alice@example.test` or `Alice <alice@example.test>`.",
        ))
        .examples([json!("Alice <alice@example.test>")]);
    text.build().into()
}

impl PartialSchema for AddressInput {
    fn schema() -> RefOr<Schema> {
        let one = OneOfBuilder::new()
            .item(text_schema())
            .item(Ref::from_schema_name(NamedInput::name()))
            .description(Some("An address."));
        RefOr::T(Schema::OneOf(one.build()))
    }
}

impl ToSchema for AddressInput {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AddressInput")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((NamedInput::name().into_owned(), NamedInput::schema()));
    }
}

impl PartialSchema for AddressesInput {
    fn schema() -> RefOr<Schema> {
        let list = ArrayBuilder::new()
            .items(Ref::from_schema_name(AddressInput::name()))
            .max_items(Some(MAX_ADDRESSES));
        let either = OneOfBuilder::new()
            .item(text_schema())
            .item(Ref::from_schema_name(NamedInput::name()))
            .item(Schema::Array(list.build()))
            .description(Some("One address, or a list of addresses."));
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for AddressesInput {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AddressesInput")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((AddressInput::name().into_owned(), AddressInput::schema()));
        AddressInput::schemas(schemas);
    }
}
