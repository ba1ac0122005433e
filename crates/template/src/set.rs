//! A set of named templates that call one another.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::Tree;
use crate::error::{Error, ErrorKind};
use crate::exec::Run;
use crate::funcs::Funcs;
use crate::value::Value;
use crate::{parse, parse::is_empty};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As they are (`text/template`).
    Text,
    /// Escaped for the place in the HTML page where they stand (`html/template`).
    Html,
}

/// Parsed templates by name. Cloning shares the trees.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    trees: HashMap<String, Arc<Tree>>,
}

impl Templates {
    /// Parses `text` and adds it as `name`, together with what it defines; a later definition replaces an earlier
    /// one, unless the later one is white space only.
    ///
    /// `funcs` are those the text may name.
    ///
    /// # Errors
    /// With Go's text when the text is no template; nothing is added then.
    pub fn parse(&mut self, name: &str, text: &str, funcs: &Funcs<'_>) -> Result<(), Error> {
        for tree in parse::parse(name, text, &|f| funcs.contains(f))? {
            if is_empty(&tree.body) && self.trees.contains_key(&tree.name) {
                continue;
            }
            self.trees.insert(tree.name.clone(), Arc::new(tree));
        }
        Ok(())
    }

    /// Runs the template called `name`.
    ///
    /// # Errors
    /// When there is none, or it fails while it runs, with Go's text.
    pub fn execute(&self, name: &str, data: &Value, funcs: &Funcs<'_>, mode: Mode) -> Result<String, Error> {
        let Some(tree) = self.tree(name) else {
            let name = model::float::go_quote(name);
            return Err(Error::new(ErrorKind::Exec, format!("template: no template {name} in the set")));
        };
        Run::new(self, funcs, mode).execute(tree, data)
    }

    /// Parses `text` and runs it at once; it may call what the set holds, and is not added to it.
    ///
    /// # Errors
    /// As [`Templates::parse`] and [`Templates::execute`].
    pub fn render(
        &self,
        name: &str,
        text: &str,
        data: &Value,
        funcs: &Funcs<'_>,
        mode: Mode,
    ) -> Result<String, Error> {
        if !text.contains("{{") && mode == Mode::Text {
            return Ok(text.to_owned());
        }
        let mut set = self.clone();
        set.trees.remove(name);
        set.parse(name, text, funcs)?;
        set.execute(name, data, funcs, mode)
    }

    /// Whether there is a template of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }

    pub(crate) fn tree(&self, name: &str) -> Option<&Tree> {
        self.trees.get(name).map(AsRef::as_ref)
    }
}
