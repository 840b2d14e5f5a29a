//! Pages of lists: opaque, tamper-evident keyset cursors, never an offset.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    vault::Vault,
};

/// Largest page.
pub const MAX_LIMIT: u16 = 200;
/// Size of a page when the caller does not say.
pub const DEFAULT_LIMIT: u16 = 50;

const TAG_LEN: usize = 12;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// 1 to 200; 50 when absent.
    pub limit: Option<u16>,
    /// `next_cursor` or `prev_cursor` of another page.
    pub cursor: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub data: Vec<T>,
    /// There are items after these.
    pub has_more: bool,
    /// Leads to the items after these.
    pub next_cursor: Option<String>,
    /// Leads to the items before these.
    pub prev_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with other items.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(convert).collect(),
            has_more: self.has_more,
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
        }
    }
}

/// Authenticates cursors.
pub(crate) struct CursorKey(hmac::Key);

impl CursorKey {
    pub(crate) fn new(vault: &Vault) -> Result<Self> {
        Ok(Self(vault.mac_key("cursor")?))
    }

    fn tag(&self, list: &str, cx: &Cx, body: &[u8]) -> [u8; TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(list.as_bytes());
        context.update(cx.account().uuid().as_bytes());
        context.update(body);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(context.sign().as_ref().get(..TAG_LEN).unwrap_or(&[0; TAG_LEN]));
        tag
    }
}

/// The range of keys that a page comes from. Lists are in descending order of their key.
pub(crate) struct Keyset {
    list: &'static str,
    /// Towards older items (descending keys), as without a cursor.
    pub forward: bool,
    /// Exclusive bound on the side where the page begins.
    pub bound: Uuid,
    limit: usize,
    first: bool,
}

impl Keyset {
    /// Reads a request for a page of `list`.
    pub(crate) fn new(cx: &Cx, list: &'static str, request: &PageRequest) -> Result<Self> {
        let (limit, mut faults) = check_limit(request);
        let position = match request.cursor.as_deref() {
            None => Some((true, Uuid::max())),
            Some(text) => open(cx, list, text),
        };
        let Some((forward, bound)) = position.filter(|_| faults.is_empty()) else {
            if position.is_none() {
                faults.push(invalid_cursor());
            }
            return Err(Error::InvalidInput(faults));
        };
        let first = request.cursor.is_none();
        Ok(Self { list, forward, bound, limit, first })
    }

    /// How many rows to fetch: one more than the page, to see whether there are more.
    pub(crate) fn fetch(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// Makes the page of rows that were fetched in the order that `forward` says.
    pub(crate) fn page<T>(&self, cx: &Cx, mut rows: Vec<T>, key: impl Fn(&T) -> Uuid) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        if !self.forward {
            rows.reverse();
        }
        let (after, before) = if self.forward { (more, !self.first) } else { (true, more) };
        let next = rows.last().filter(|_| after).map(|row| self.seal(cx, true, key(row)));
        let prev = rows.first().filter(|_| before).map(|row| self.seal(cx, false, key(row)));
        Page { has_more: next.is_some(), data: rows, next_cursor: next, prev_cursor: prev }
    }

    fn seal(&self, cx: &Cx, forward: bool, key: Uuid) -> String {
        let mut bytes = vec![u8::from(forward)];
        bytes.extend_from_slice(key.as_bytes());
        seal_position(cx, self.list, &bytes)
    }
}

fn open(cx: &Cx, list: &str, text: &str) -> Option<(bool, Uuid)> {
    let body = open_position(cx, list, text)?;
    let (direction, key) = body.split_first()?;
    Some((*direction == 1, Uuid::from_slice(key).ok()?))
}

/// A cursor of `list` for the caller's account.
pub(crate) fn seal_position(cx: &Cx, list: &str, position: &[u8]) -> String {
    let tag = cx.platform().cursor_key().tag(list, cx, position);
    URL_SAFE_NO_PAD.encode([position, &tag].concat())
}

/// The position in a cursor that [`seal_position`] made.
pub(crate) fn open_position(cx: &Cx, list: &str, text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let tag = bytes.split_off(bytes.len().checked_sub(TAG_LEN)?);
    let expected = cx.platform().cursor_key().tag(list, cx, &bytes);
    bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_slice(), &tag)).then_some(bytes)
}

/// Size of the page that is wanted, and what is wrong with it.
pub(crate) fn check_limit(request: &PageRequest) -> (usize, Vec<FieldError>) {
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    let mut faults = Vec::new();
    if limit == 0 || limit > MAX_LIMIT {
        let detail = format!("limit is a number from 1 to {MAX_LIMIT}");
        faults.push(FieldError::new("/limit", "out_of_range", detail));
    }
    (usize::from(limit), faults)
}

/// The cursor is of another list or account, or nobody's.
pub(crate) fn invalid_cursor() -> FieldError {
    let detail = "the cursor is not one that this list gave";
    FieldError::new("/cursor", "invalid_cursor", detail)
}

/// Runs a keyset query both ways. `$1` is the bound, `$2` the number of rows; arguments of the
/// query itself start at `$3`. The query ends in a condition, so that more can follow with AND.
macro_rules! fetch_page {
    ($conn:expr, $keyset:expr, $row:ty, $sql:literal, $key:literal $(, $arg:expr)* $(,)?) => {
        if $keyset.forward {
            sqlx::query_as!(
                $row,
                $sql + " AND " + $key + " < $1 ORDER BY " + $key + " DESC LIMIT $2",
                $keyset.bound, $keyset.fetch() $(, $arg)*
            )
            .fetch_all($conn)
            .await?
        } else {
            sqlx::query_as!(
                $row,
                $sql + " AND " + $key + " > $1 ORDER BY " + $key + " ASC LIMIT $2",
                $keyset.bound, $keyset.fetch() $(, $arg)*
            )
            .fetch_all($conn)
            .await?
        }
    };
}
pub(crate) use fetch_page;
