//! The `webhooks` section of the OpenAPI document: one operation for each type of events.
//!
//! The payloads themselves are the core's; a test holds what it writes against the schemas here.

use posthouse_core::events::EventKind;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, HttpMethod, ObjectBuilder, OpenApi, PathItem, PathsBuilder,
        Ref, RefOr, Required, ResponseBuilder, Schema, SchemaFormat, Type,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::KnownFormat,
    },
};

use super::{
    webhook_examples::example,
    webhook_shapes::{
        DeliveryEventData, DkimRotatedEventData, DomainEventData, LimitEventData, LoginEventData,
        MailDeletedEventData, MailDroppedEventData, MailEventData, MailUpdatedEventData,
        MessageEventData, MessageRejectedEventData, QuotaEventData, SuppressionEventData,
        UnsubscribeEventData, WebhookEventData,
    },
};

/// Adds the section and its schemas.
pub(crate) fn describe_webhooks(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    add::<MessageEventData>(components);
    add::<DeliveryEventData>(components);
    add::<MailEventData>(components);
    add::<MailUpdatedEventData>(components);
    add::<MailDeletedEventData>(components);
    add::<MailDroppedEventData>(components);
    add::<MessageRejectedEventData>(components);
    add::<SuppressionEventData>(components);
    add::<UnsubscribeEventData>(components);
    add::<WebhookEventData>(components);
    add::<LimitEventData>(components);
    add::<QuotaEventData>(components);
    add::<LoginEventData>(components);
    add::<DomainEventData>(components);
    add::<DkimRotatedEventData>(components);
    let mut paths = PathsBuilder::new();
    for kind in EventKind::ALL.iter().copied() {
        components.schemas.insert(schema_name(kind), event_schema(kind).into());
        paths = paths.path(kind.as_str(), PathItem::new(HttpMethod::Post, operation(kind)));
    }
    document.webhooks = Some(paths.build());
}

fn add<T: ToSchema>(components: &mut Components) {
    let mut schemas = vec![(T::name().into_owned(), <T as PartialSchema>::schema())];
    T::schemas(&mut schemas);
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
}

/// Name of the schema of `data`.
pub(super) fn data_schema(kind: EventKind) -> String {
    match kind {
        EventKind::MessageAccepted | EventKind::MessageScheduled => MessageEventData::name(),
        EventKind::DeliveryDelivered
        | EventKind::DeliveryRelayed
        | EventKind::DeliveryDeferred
        | EventKind::DeliveryFailed
        | EventKind::DeliverySuppressed
        | EventKind::DeliveryExpired
        | EventKind::DeliveryCanceled
        | EventKind::DeliveryHeld
        | EventKind::DeliveryReleased
        | EventKind::DeliveryBounced
        | EventKind::DeliveryComplained
        | EventKind::DeliveryExpanded
        | EventKind::DeliveryUnrecognized => DeliveryEventData::name(),
        EventKind::RecipientUnsubscribed => UnsubscribeEventData::name(),
        EventKind::SuppressionCreated | EventKind::SuppressionDeleted => {
            SuppressionEventData::name()
        }
        EventKind::MailReceived | EventKind::MailCreated => MailEventData::name(),
        EventKind::MailUpdated => MailUpdatedEventData::name(),
        EventKind::MailDeleted => MailDeletedEventData::name(),
        EventKind::MailDropped => MailDroppedEventData::name(),
        EventKind::MessageRejected => MessageRejectedEventData::name(),
        EventKind::WebhookDisabled | EventKind::WebhookTest => WebhookEventData::name(),
        EventKind::AccountLimitExceeded => LimitEventData::name(),
        EventKind::AccountQuotaWarning => QuotaEventData::name(),
        EventKind::LoginNewAddress => LoginEventData::name(),
        EventKind::DomainVerified | EventKind::DomainDegraded => DomainEventData::name(),
        EventKind::DkimRotated => DkimRotatedEventData::name(),
    }
    .into_owned()
}

/// `DeliveryDeliveredEvent` for `delivery.delivered`.
fn schema_name(kind: EventKind) -> String {
    let words = kind.as_str().split(['.', '_']).flat_map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
    });
    words.chain("Event".chars()).collect()
}

fn event_schema(kind: EventKind) -> Schema {
    let text = |description: &str| {
        ObjectBuilder::new().schema_type(Type::String).description(Some(description))
    };
    let time =
        text("When it happened.").format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let seq = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some("Position in the account's log, from 1, without gaps."));
    let mut object = ObjectBuilder::new()
        .description(Some(kind.description()))
        .property("id", text("Identifier, unique for ever; also `webhook-id`."))
        .property("type", text("What happened.").enum_values(Some([kind.as_str()])))
        .property("timestamp", time)
        .property("api_version", text("Version of the payload's shape."))
        .property("seq", seq)
        .property("account_id", text("Whose event it is."))
        .property("data", Ref::from_schema_name(data_schema(kind)))
        .examples([example(kind)]);
    for name in ["id", "type", "timestamp", "api_version", "seq", "account_id", "data"] {
        object = object.required(name);
    }
    object.into()
}

fn operation(kind: EventKind) -> Operation {
    let schema: RefOr<Schema> = Ref::from_schema_name(schema_name(kind)).into();
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example(kind))).build();
    let body = RequestBodyBuilder::new()
        .description(Some("The event."))
        .required(Some(Required::True))
        .content("application/json", content)
        .build();
    let answer = |text: &str| ResponseBuilder::new().description(text).build();
    OperationBuilder::new()
        .tag("webhooks")
        .operation_id(Some(format!("on_{}", kind.as_str().replace('.', "_"))))
        .summary(Some(kind.as_str()))
        .description(Some(kind.description()))
        .parameters(Some(header_fields()))
        .request_body(Some(body))
        // Their proof is the signature.
        .securities(Some([]))
        .response("2XX", answer("Taken. Anything else, redirects too, is tried again."))
        .response("410", answer("Never again: the endpoint is disabled."))
        .build()
}

fn header_fields() -> [Parameter; 3] {
    let field = |name: &str, description: &str, example: Value| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
            .example(Some(example))
            .build()
    };
    [
        field(
            "webhook-id",
            "Identifier of the event, the same in every attempt: ignore what you have seen.",
            json!("evt_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ),
        field(
            "webhook-timestamp",
            "Time of the attempt in seconds since 1970: refuse what is older than five minutes.",
            json!("1795255200"),
        ),
        field(
            "webhook-signature",
            "`v1,` and the base64 of HMAC-SHA256 over `webhook-id.webhook-timestamp.body`, keyed \
             by the decoded part of the secret after `whsec_`; or `v1a,` and the Ed25519 signature \
             of the same, for the key after `whpk_`. Several are separated by spaces while a \
             secret is replaced: one that fits is enough.",
            json!("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// What the core writes has just the fields that the schemas tell of, at every depth.
    #[test]
    fn payloads_are_described_completely() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        for kind in EventKind::ALL.iter().copied() {
            let schema = &document["components"]["schemas"][data_schema(kind)];
            let example = example(kind);
            assert_eq!(keys(&schema["properties"]), keys(&example["data"]), "{}", kind.as_str());
            assert_eq!(crate::schema::faults(&schema_name(kind), &example), []);
            let operation = &document["webhooks"][kind.as_str()]["post"];
            assert_eq!(operation["requestBody"]["content"]["application/json"]["example"], example);
        }
        let schemas = &document["components"]["schemas"];
        let mail = example(EventKind::MailReceived);
        let bounced = example(EventKind::DeliveryBounced);
        let parts = [
            ("DeliveryEventReport", &bounced["data"]["report"]),
            ("MailEventEnvelope", &mail["data"]["envelope"]),
            ("MailEventHeaders", &mail["data"]["headers"]),
            ("MailEventAttachment", &mail["data"]["attachments"][0]),
            ("EventTls", &mail["data"]["tls"]),
            ("MailEventRouting", &mail["data"]["routing"]),
            ("MailEventRoute", &mail["data"]["routing"]["routes"][0]),
            ("MailEventSkipped", &mail["data"]["routing"]["skipped"][0]),
        ];
        for (name, value) in parts {
            assert_eq!(keys(&schemas[name]["properties"]), keys(value), "{name}");
        }
        assert_eq!(schema_name(EventKind::DeliveryDelivered), "DeliveryDeliveredEvent");
    }
}
