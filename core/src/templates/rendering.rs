//! Filling in the variables: as a preview, and for messages.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

use super::{Rendered, TemplateUse, Which, engine::Compiled, store};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id},
    messages::CORES,
    scope::Scope,
};

/// Octets of the variables of one message, as JSON.
const MAX_VARIABLES: usize = 64 * 1024;
/// Most templates of one request.
const MAX_TEMPLATES: usize = 50;

/// Shows what a version of a template becomes; none: the published one, or else the newest.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput` with a fault for each variable that lacks.
pub async fn render(
    cx: &Cx,
    template: Id<id::Template>,
    version: Option<i32>,
    variables: Map<String, Value>,
) -> Result<Rendered> {
    cx.require(Scope::AccountRead)?;
    Error::unless_empty(render_faults(&variables))?;
    let mut conn = cx.platform().acquire().await?;
    let shown = store::find(&mut conn, cx.account(), template, version).await?;
    drop(conn);
    let shown = shown.ok_or(Error::NotFound("template"))?;
    let version = shown.version;
    work(move || Compiled::new(version.version, &version.parts)?.render(&variables, "")).await
}

/// What is wrong with variables, whatever the template.
pub fn render_faults(variables: &Map<String, Value>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    check_variables(variables, "/variables", &mut faults);
    faults
}

fn check_variables(variables: &Map<String, Value>, pointer: &str, faults: &mut Vec<FieldError>) {
    let size = serde_json::to_string(variables).map_or(usize::MAX, |text| text.len());
    if size > MAX_VARIABLES {
        let detail = format!("variables have at most {MAX_VARIABLES} octets as JSON");
        faults.push(FieldError::new(pointer, "too_long", detail));
    }
}

/// What is wrong with the use of a template, whatever it says.
pub(crate) fn use_faults(template: &TemplateUse, faults: &mut Vec<FieldError>) {
    check_variables(&template.variables, "/template/variables", faults);
}

/// Renders on a thread of its own, as many at a time as there are cores.
async fn work(
    job: impl FnOnce() -> Result<Rendered, Vec<FieldError>> + Send + 'static,
) -> Result<Rendered> {
    let _permit = CORES.acquire().await.map_err(Error::internal)?;
    let done = tokio::task::spawn_blocking(job).await.map_err(Error::internal)?;
    done.map_err(Error::InvalidInput)
}

/// The templates of the messages of one request.
pub(crate) struct Library(HashMap<(Which, Option<i32>), Arc<Compiled>>);

impl Library {
    /// Reads those that are asked for, in one question.
    pub(crate) async fn load<'a>(
        cx: &Cx,
        uses: impl Iterator<Item = &'a TemplateUse>,
    ) -> Result<Self> {
        let mut asked: Vec<(Which, Option<i32>)> = Vec::new();
        for one in uses {
            let key = (one.which.clone(), one.version);
            if asked.contains(&key) {
                continue;
            }
            if asked.len() == MAX_TEMPLATES {
                let detail = format!(
                    "the messages of a request use at most {MAX_TEMPLATES} \
                                      templates"
                );
                return Err(Error::field("/messages", "too_many_templates", detail));
            }
            asked.push(key);
        }
        let mut found = HashMap::new();
        if asked.is_empty() {
            return Ok(Self(found));
        }
        let mut conn = cx.platform().acquire().await?;
        let rows = store::find_many(&mut conn, cx.account(), &asked).await?;
        drop(conn);
        for (at, version, parts) in rows {
            let Some(key) = asked.get(at) else { continue };
            let refused = |_| Error::internal("a stored template cannot be read");
            let compiled = Compiled::new(version, &parts).map_err(refused)?;
            found.insert(key.clone(), Arc::new(compiled));
        }
        Ok(Self(found))
    }

    /// What a message says.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such template or version, or a variable lacks.
    pub(crate) async fn render(&self, template: TemplateUse) -> Result<Rendered> {
        let key = (template.which, template.version);
        let Some(compiled) = self.0.get(&key).map(Arc::clone) else {
            let detail = match key.1 {
                Some(_) => "there is no such version of such a template",
                None => "there is no such template, or no version of it is published",
            };
            return Err(Error::field("/template", "unknown_template", detail));
        };
        work(move || compiled.render(&template.variables, "/template")).await
    }
}
