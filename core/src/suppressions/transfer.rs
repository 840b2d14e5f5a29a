//! The whole list, in and out, some at a time: how it is spelled is the door's.

use super::{
    Filter, Imported, MAX_ENTRIES, NewSuppression, Suppression,
    check::entry_faults,
    create::{self, base_of},
    store::{
        Existing, Written,
        entries::{self, Range},
    },
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id},
    scope::Scope,
};

/// Writes up to [`MAX_ENTRIES`] entries in one transaction; those that are on the list get reason,
/// detail and end of the new ones. The same import a second time changes nothing.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn import(cx: &Cx, new: Vec<NewSuppression>) -> Result<Imported> {
    cx.require(Scope::SuppressionsWrite)?;
    let mut faults = Vec::new();
    for (index, new) in new.iter().enumerate() {
        entry_faults(cx, new, &format!("/{index}"), &mut faults);
    }
    if new.len() > MAX_ENTRIES {
        faults.push(FieldError::new("", "too_many", format!("more than {MAX_ENTRIES} at once")));
    }
    Error::unless_empty(faults)?;
    let mut tx = cx.begin("suppressions.import").await?;
    let now = cx.now();
    let made = create::make(&mut tx, cx, new, now).await?;
    let written = create::write(&mut tx, &made, Existing::Replace, now).await?;
    let mut imported = Imported::default();
    for one in &written {
        let counter = match one {
            Written::Created => &mut imported.created,
            Written::Updated => &mut imported.updated,
            Written::Unchanged => &mut imported.unchanged,
        };
        *counter += 1;
    }
    if imported.created + imported.updated > 0 {
        let count = (imported.created + imported.updated).to_string();
        audit::record(&mut tx, cx, "import_suppressions", Some(cx.account()), &count).await?;
    }
    tx.commit().await?;
    cx.platform().queue().suppressions.changed(cx.account());
    Ok(imported)
}

/// Every fault of one entry; pointers are names of its fields.
pub fn import_faults(cx: &Cx, new: &NewSuppression) -> Vec<FieldError> {
    let mut faults = Vec::new();
    entry_faults(cx, new, "", &mut faults);
    faults
}

/// Up to [`MAX_ENTRIES`] entries after the one called `after`, newest first; none left: none.
///
/// # Errors
/// `Forbidden`.
pub async fn export(
    cx: &Cx,
    filter: &Filter,
    after: Option<Id<id::Suppression>>,
) -> Result<Vec<Suppression>> {
    cx.require(Scope::SuppressionsRead)?;
    let mut conn = cx.platform().acquire().await?;
    let base = match &filter.address {
        Some(address) => Some(base_of(&mut conn, address).await?),
        None => None,
    };
    let range = Range::after(after, MAX_ENTRIES);
    entries::list(&mut conn, cx.account(), filter, base.as_deref(), &range).await
}
