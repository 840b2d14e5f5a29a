//! The suppression list as a file of comma-separated values, in both directions as a stream.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    suppressions::{self, Filter, Imported, MAX_ENTRIES, NewSuppression, Reason, Suppression},
    time::rfc3339,
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use super::{suppression_shapes::address, suppressions::SuppressionFilter};
use crate::{
    csv::{self, Reader, Row},
    extract::{Caller, Params, media_type},
    problem::{ApiResult, HttpCode, Problem},
};

/// Octets that are read at a time.
const PIECE: usize = 16 * 1024;
/// Faults that an answer lists.
const MAX_FAULTS: usize = 1000;
/// Columns of an export. An import takes the same, in any order, and needs the first only.
const COLUMNS: [&str; 9] = [
    "address",
    "topic",
    "reason",
    "detail",
    "expires_at",
    "created_at",
    "id",
    "base_address",
    "delivery_id",
];

/// What came of an import.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ImportResult {
    /// Rows that are new on the list.
    #[schema(example = 2)]
    created: u64,
    /// Rows whose entry was there, and has another reason, note or end now.
    #[schema(example = 1)]
    updated: u64,
    /// Rows whose entry was there just so.
    #[schema(example = 0)]
    unchanged: u64,
    /// Rows that were left out because of faults.
    #[schema(example = 0)]
    failed: u64,
    /// Faults of rows, in order; at most 1,000.
    faults: Vec<ImportFault>,
}

/// What is wrong with a row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportFault {
    /// The line on which the row begins, from 1.
    #[schema(example = 2)]
    line: u64,
    /// The column; null: the whole row.
    #[schema(example = "address")]
    column: Option<String>,
    /// Stable code for programs.
    #[schema(value_type = String, example = "invalid_address")]
    code: &'static str,
    /// What is wrong and what to do, for people.
    #[schema(example = "the address has no @")]
    detail: String,
}

/// Import suppressions
///
/// Comma-separated values (RFC 4180, UTF-8) with a first row of column names: `address`, and if you
/// like `topic`, `reason` (`manual` by default), `detail` and `expires_at`; the other columns of an
/// export are ignored. Entries that are there get reason, detail and end of their row: the same
/// import a second time changes nothing, so it needs no idempotency key. Rows with faults are left
/// out and told with their line. Rows are written as they come: if the request breaks off, send it
/// again.
#[utoipa::path(post, path = "/suppressions/import", tag = "suppressions",
    request_body(content = String, content_type = "text/csv",
        example = "address,reason\r\nbob@example.net,bounce\r\n"),
    security(("api_key" = ["suppressions:write"])),
    responses((status = 200, description = "What came of it", body = ImportResult)))]
pub(crate) async fn import_suppressions(
    Caller(cx): Caller,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<ImportResult>> {
    cx.require(Scope::SuppressionsWrite)?;
    if media_type(&headers).as_deref() != Some("text/csv") {
        let detail = "this operation takes Content-Type: text/csv";
        return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
    }
    let mut import = Import::new(&cx);
    let (mut reader, mut rows) = (Reader::default(), Vec::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "the body ended too early; rows before that are imported";
            Problem::unreadable(FieldError::new("", "incomplete", detail))
        })?;
        for piece in chunk.chunks(PIECE) {
            reader.push(piece, &mut rows);
            for row in rows.drain(..) {
                import.take(row).await?;
            }
        }
    }
    if let Some(row) = reader.finish() {
        import.take(row).await?;
    }
    Ok(Json(import.finish().await?))
}

/// An import that is going on.
struct Import<'a> {
    cx: &'a Cx,
    /// For each column of the file its place in [`COLUMNS`].
    columns: Option<Vec<usize>>,
    batch: Vec<NewSuppression>,
    result: ImportResult,
}

impl<'a> Import<'a> {
    const fn new(cx: &'a Cx) -> Self {
        let result =
            ImportResult { created: 0, updated: 0, unchanged: 0, failed: 0, faults: Vec::new() };
        Self { cx, columns: None, batch: Vec::new(), result }
    }

    async fn take(&mut self, row: Row) -> ApiResult<()> {
        let Some(columns) = &self.columns else {
            self.columns = Some(columns(row)?);
            return Ok(());
        };
        match entry(self.cx, columns, row) {
            Ok(new) => self.batch.push(new),
            Err(faults) => {
                self.result.failed += 1;
                let room = MAX_FAULTS.saturating_sub(self.result.faults.len());
                self.result.faults.extend(faults.into_iter().take(room));
            }
        }
        if self.batch.len() >= MAX_ENTRIES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> ApiResult<()> {
        let batch = std::mem::take(&mut self.batch);
        let Imported { created, updated, unchanged } = suppressions::import(self.cx, batch).await?;
        self.result.created += created;
        self.result.updated += updated;
        self.result.unchanged += unchanged;
        Ok(())
    }

    async fn finish(mut self) -> ApiResult<ImportResult> {
        if self.columns.is_none() {
            let detail = "the first row names the columns; there is none";
            return Err(Error::field("", "missing_column", detail).into());
        }
        if !self.batch.is_empty() {
            self.write().await?;
        }
        Ok(self.result)
    }
}

/// What the first row says: nothing is imported unless all its columns are known.
fn columns(row: Row) -> Result<Vec<usize>, Error> {
    let names = row.fields.map_err(|fault| Error::field("", fault.code(), fault.detail()))?;
    let mut faults = Vec::new();
    let mut columns = Vec::new();
    for name in &names {
        let place = COLUMNS.iter().position(|known| *known == name.trim());
        let pointer = format!("/{}", name.trim());
        match place {
            None => {
                let detail = format!("there is no column {name:?}; the first row names columns");
                faults.push(FieldError::new(pointer, "unknown_column", detail));
            }
            Some(place) if columns.contains(&place) => {
                let detail = "this column stands more than once";
                faults.push(FieldError::new(pointer, "duplicate_column", detail));
            }
            Some(place) => columns.push(place),
        }
    }
    if !columns.contains(&0) {
        let detail = "the column address is required";
        faults.push(FieldError::new("/address", "missing_column", detail));
    }
    Error::unless_empty(faults)?;
    Ok(columns)
}

fn entry(cx: &Cx, columns: &[usize], row: Row) -> Result<NewSuppression, Vec<ImportFault>> {
    let line = row.line;
    let whole = |code, detail: &str| {
        vec![ImportFault { line, column: None, code, detail: detail.to_owned() }]
    };
    let fields = row.fields.map_err(|fault| whole(fault.code(), fault.detail()))?;
    if fields.len() != columns.len() {
        let detail = format!("the row has {} fields, the first {}", fields.len(), columns.len());
        return Err(whole("wrong_number_of_fields", &detail));
    }
    let mut values = [const { None }; COLUMNS.len()];
    for (place, field) in columns.iter().zip(&fields) {
        if let Some(value) = values.get_mut(*place) {
            *value = Some(csv::plain(field)).filter(|field| !field.is_empty());
        }
    }
    let [address, topic, reason, detail, expires_at, ..] = values;
    let fault = |fault: FieldError| ImportFault {
        line,
        column: Some(fault.pointer.trim_start_matches('/').to_owned()),
        code: fault.code,
        detail: fault.detail,
    };
    read([address, topic, reason, detail, expires_at])
        .and_then(|new| {
            let faults = suppressions::import_faults(cx, &new);
            if faults.is_empty() { Ok(new) } else { Err(faults) }
        })
        .map_err(|faults| faults.into_iter().map(fault).collect())
}

fn read(values: [Option<&str>; 5]) -> Result<NewSuppression, Vec<FieldError>> {
    let [text, topic, reason, detail, expires_at] = values;
    let mut faults = Vec::new();
    let address = address(text.unwrap_or_default(), "/address");
    let address = address.map_err(|fault| faults.push(fault)).ok();
    let reason = reason.map(str::parse::<Reason>).transpose().unwrap_or_else(|detail| {
        faults.push(FieldError::new("/reason", "invalid_value", detail));
        None
    });
    let expires_at = expires_at.map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose();
    let expires_at = expires_at.unwrap_or_else(|_| {
        let detail = "expected a time such as 2026-11-21T10:00:00Z";
        faults.push(FieldError::new("/expires_at", "invalid_value", detail));
        None
    });
    let Some(address) = address.filter(|_| faults.is_empty()) else { return Err(faults) };
    Ok(NewSuppression {
        address,
        topic: topic.map(str::to_owned),
        reason: reason.unwrap_or(Reason::Manual),
        detail: detail.unwrap_or_default().to_owned(),
        expires_at,
    })
}

/// Export suppressions
///
/// The list, newest first, as comma-separated values (RFC 4180, UTF-8) with a first row of column
/// names. A text that a spreadsheet would take for a formula has an apostrophe before it, which an
/// import takes away again.
#[utoipa::path(get, path = "/suppressions/export", tag = "suppressions", params(SuppressionFilter),
    security(("api_key" = ["suppressions:read"])),
    responses((status = 200, description = "The entries", body = String,
        content_type = "text/csv",
        example = "address,topic,reason,detail,expires_at,created_at,id,base_address,delivery_id\r\n")))]
pub(crate) async fn export_suppressions(
    Caller(cx): Caller,
    Params(filter): Params<Filter>,
) -> ApiResult<Response> {
    // The first entries before the answer begins, so that it can still be a problem.
    let first = suppressions::export(&cx, &filter, None).await?;
    let mut names = String::new();
    csv::write_row(&COLUMNS, &mut names);
    let export = Export { cx, filter, ready: Some(first), after: None };
    let rows = stream::try_unfold(export, async |mut export| {
        let text = export.next().await?;
        Ok::<_, Error>(text.map(|text| (text, export)))
    });
    let names = stream::once(std::future::ready(Ok(Bytes::from(names))));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"suppressions.csv\""),
    ];
    Ok((headers, Body::from_stream(names.chain(rows))).into_response())
}

/// An export that is going on: it has one step of the list in memory.
struct Export {
    cx: Cx,
    filter: Filter,
    ready: Option<Vec<Suppression>>,
    after: Option<Id<id::Suppression>>,
}

impl Export {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let entries = match self.ready.take() {
            Some(entries) => entries,
            None => suppressions::export(&self.cx, &self.filter, self.after).await?,
        };
        let Some(last) = entries.last() else { return Ok(None) };
        self.after = Some(last.id);
        let mut text = String::new();
        for entry in &entries {
            write_entry(entry, &mut text);
        }
        Ok(Some(Bytes::from(text)))
    }
}

fn write_entry(entry: &Suppression, out: &mut String) {
    let end = entry.expires_at.map(rfc3339).unwrap_or_default();
    let delivery = entry.delivery_id.map(|id| id.to_string()).unwrap_or_default();
    let fields = [
        entry.address.as_str(),
        entry.topic.as_deref().unwrap_or_default(),
        entry.reason.as_str(),
        &entry.detail,
        &end,
        &rfc3339(entry.created_at),
        &entry.id.to_string(),
        &entry.base_address,
        &delivery,
    ];
    csv::write_row(&fields, out);
}
