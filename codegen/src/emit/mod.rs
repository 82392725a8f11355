//! The files of `ocpp-types`: typify's types in the schemas' order, documented, each in a small
//! file.

mod dispatch;
mod enumeration;
mod source;
mod structure;
mod words;

use std::fmt::Write as _;

use indexmap::IndexMap;
use quote::{format_ident, quote};

use self::{
    source::{Items, reexport},
    words::{schema_line, used_by},
};
use crate::{
    GenerateError, GeneratedFile,
    document::Rule,
    edition::{Edition, Sender},
    merge::{Merged, Message},
    names,
    rust_types::{CUSTOM_DATA, RustType},
};

/// Writes all files of one edition; their paths are relative to `generated/`.
pub(crate) fn files(
    edition: &'static Edition,
    merged: &Merged,
    types: &IndexMap<String, RustType>,
) -> Result<Vec<GeneratedFile>, GenerateError> {
    let mut emitter = Emitter { edition, merged, types, files: Vec::new() };
    let (actions, sends) = pair(edition, merged)?;
    let mut messages = Folder::new("messages");
    for action in &actions {
        emitter.action(&mut messages, action)?;
    }
    for send in &sends {
        emitter.send(&mut messages, send)?;
    }
    let mut datatypes = Folder::new("datatypes");
    let mut enumerations = Folder::new("enumerations");
    for name in merged.types.keys().filter(|name| *name != CUSTOM_DATA) {
        emitter.shared_type(&mut datatypes, &mut enumerations, name)?;
    }
    let dispatch = emitter.dispatch(&actions, &sends)?;
    emitter.actions_tables();
    emitter.modules(&[messages, datatypes, enumerations, dispatch])?;
    let mut files = emitter.files;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// An action with an answer, and its messages.
struct Action<'a> {
    name: &'static str,
    sender: Sender,
    request: &'a Message,
    response: &'a Message,
}

/// An action without an answer, and its message.
struct Send<'a> {
    name: &'static str,
    sender: Sender,
    message: &'a Message,
}

/// Pairs requests with responses, and both with the tables of senders. Every entry must have a
/// partner.
fn pair<'a>(
    edition: &'static Edition,
    merged: &'a Merged,
) -> Result<(Vec<Action<'a>>, Vec<Send<'a>>), GenerateError> {
    let find = |name: &str| merged.messages.iter().find(|message| message.name == name);
    let mut actions = Vec::new();
    for &(name, sender) in edition.calls {
        let (Some(request), Some(response)) =
            (find(&format!("{name}Request")), find(&format!("{name}Response")))
        else {
            return Err(GenerateError::NoSchema { action: name.to_owned() });
        };
        actions.push(Action { name, sender, request, response });
    }
    let mut sends = Vec::new();
    for &(name, sender) in edition.sends {
        let Some(message) = find(name) else {
            return Err(GenerateError::NoSchema { action: name.to_owned() });
        };
        sends.push(Send { name, sender, message });
    }
    for message in &merged.messages {
        let action = message.name.strip_suffix("Request").or_else(|| message.name.strip_suffix("Response"));
        let is_called = action.is_some_and(|action| edition.calls.iter().any(|(known, _)| *known == action));
        if !is_called && !edition.sends.iter().any(|(known, _)| *known == message.name) {
            return Err(GenerateError::NoSender { message: message.name.clone(), edition: edition.title });
        }
    }
    Ok((actions, sends))
}

/// A folder of private modules whose types are re-exported.
struct Folder {
    name: &'static str,
    modules: Vec<Module>,
}

/// One file of a folder.
struct Module {
    name: String,
    types: Vec<String>,
}

impl Folder {
    fn new(name: &'static str) -> Self {
        Self { name, modules: Vec::new() }
    }
}

struct Emitter<'a> {
    edition: &'static Edition,
    merged: &'a Merged,
    types: &'a IndexMap<String, RustType>,
    files: Vec<GeneratedFile>,
}

impl Emitter<'_> {
    fn action(&mut self, folder: &mut Folder, action: &Action<'_>) -> Result<(), GenerateError> {
        let Action { name, sender, request, response } = action;
        let title = self.edition.title;
        let mut items = Items::default();

        let summary = format!("Request of {name} ({title}), sent by {}.", sender.words());
        let paragraphs = [summary, schema_line(request)];
        structure::structure(
            &mut items,
            (self.edition, self.types),
            &request.name,
            &request.node,
            &paragraphs,
        )?;
        let (request_type, response_type) =
            (format_ident!("{}", request.name), format_ident!("{}", response.name));
        let version = format_ident!("{}", self.edition.variant);
        items.push(quote! {
            impl Request for #request_type {
                const ACTION: &'static str = #name;
                const VERSION: Version = Version::#version;
                type Response = #response_type;
            }
        })?;
        items.mention("Version");

        let summary = format!("Response to {name} ({title}): the answer to [`{}`].", request.name);
        let paragraphs = [summary, schema_line(response)];
        structure::structure(
            &mut items,
            (self.edition, self.types),
            &response.name,
            &response.node,
            &paragraphs,
        )?;

        let source = format!("{}.json and {}.json", request.file, response.file);
        self.module(folder, name, &source, vec![request.name.clone(), response.name.clone()], items)
    }

    fn send(&mut self, folder: &mut Folder, send: &Send<'_>) -> Result<(), GenerateError> {
        let Send { name, sender, message } = send;
        let title = self.edition.title;
        let mut items = Items::default();
        let summary =
            format!("Message of {name} ({title}), sent by {} and never answered (SEND).", sender.words());
        structure::structure(
            &mut items,
            (self.edition, self.types),
            &message.name,
            &message.node,
            &[summary, schema_line(message)],
        )?;
        let message_type = format_ident!("{}", message.name);
        let version = format_ident!("{}", self.edition.variant);
        items.push(quote! {
            impl Notification for #message_type {
                const ACTION: &'static str = #name;
                const VERSION: Version = Version::#version;
            }
        })?;
        items.mention("Version");
        self.module(folder, name, &format!("{}.json", message.file), vec![message.name.clone()], items)
    }

    fn shared_type(
        &mut self,
        datatypes: &mut Folder,
        enumerations: &mut Folder,
        name: &str,
    ) -> Result<(), GenerateError> {
        let shared = &self.merged.types[name];
        let mut items = Items::default();
        let folder = if let Rule::Enumeration(values) = &shared.node.rule {
            enumeration::enumeration(&mut items, name, shared, values)?;
            enumerations
        } else {
            let paragraphs = [format!("Data type {name}."), used_by(shared)];
            structure::structure(&mut items, (self.edition, self.types), name, &shared.node, &paragraphs)?;
            datatypes
        };
        self.module(folder, name, &format!("the definitions of {name}"), vec![name.to_owned()], items)
    }

    /// Adds a file of types to a folder.
    fn module(
        &mut self,
        folder: &mut Folder,
        stem: &str,
        source: &str,
        types: Vec<String>,
        items: Items,
    ) -> Result<(), GenerateError> {
        let is_generated = |name: &str| {
            self.merged.types.contains_key(name)
                || self.merged.messages.iter().any(|message| message.name == name)
                || TABLES.contains(&name)
        };
        let is_shared = |name: &str| is_generated(name) && !types.iter().any(|own| own == name);
        let text = format!("{}\n{}", self.header(source), items.into_text(self.edition.module, is_shared)?);
        let name = names::snake(stem);
        self.files.push(GeneratedFile { path: format!("{}/{name}.rs", folder.name), text });
        folder.modules.push(Module { name, types });
        Ok(())
    }

    /// The `mod.rs` of every folder, and the one above them.
    fn modules(&mut self, folders: &[Folder]) -> Result<(), GenerateError> {
        let mut root = self.header("all files");
        root.push_str("\nmod actions;\nmod datatypes;\nmod dispatch;\nmod enumerations;\nmod messages;\n\n");
        let sends: &[&str] = if self.edition.sends.is_empty() { &[] } else { &["SENDS"] };
        root.push_str(&reexport("self::actions", &[&["ACTIONS", "sender"], sends].concat())?);
        for folder in folders {
            let types = folder.modules.iter().flat_map(|module| module.types.iter().map(String::as_str));
            root.push_str(&reexport(&format!("self::{}", folder.name), &types.collect::<Vec<_>>())?);

            let mut modules: Vec<_> = folder.modules.iter().collect();
            modules.sort_by(|one, other| one.name.cmp(&other.name));
            let mut text = self.header("all files");
            text.push('\n');
            for module in &modules {
                let _ = writeln!(text, "mod {};", module.name);
            }
            text.push('\n');
            for module in &modules {
                let types: Vec<_> = module.types.iter().map(String::as_str).collect();
                text.push_str(&reexport(&module.name, &types)?);
            }
            self.files.push(GeneratedFile { path: format!("{}/mod.rs", folder.name), text });
        }
        self.files.push(GeneratedFile { path: "mod.rs".to_owned(), text: root });
        Ok(())
    }

    fn actions_tables(&mut self) {
        let (title, edition) = (self.edition.title, self.edition);
        let mut text = self.header("the names of all files");
        text.push_str("\nuse crate::Sender;\n");
        let summary = format!(
            "The {} actions of {title} in alphabetical order, and who may send their requests.",
            edition.calls.len()
        );
        table(&mut text, "ACTIONS", &summary, edition.calls);
        if !edition.sends.is_empty() {
            let summary =
                format!("The actions of {title} that are never answered (SEND), and who may send them.");
            table(&mut text, "SENDS", &summary, edition.sends);
        }
        let _ = write!(
            text,
            "
/// Who may send a request of this action; `None` where {title} has no such action.
#[must_use]
pub fn sender(action: &str) -> Option<Sender> {{
    let index = ACTIONS.binary_search_by_key(&action, |(name, _)| *name).ok()?;
    ACTIONS.get(index).map(|(_, sender)| *sender)
}}
"
        );
        self.files.push(GeneratedFile { path: "actions.rs".to_owned(), text });
    }

    fn header(&self, source: &str) -> String {
        let module = self.edition.module;
        format!("// Generated by `cargo xtask regen` from schemas/{module}: {source}. Do not edit.\n")
    }
}

/// Tables of the generated `actions.rs`.
const TABLES: &[&str] = &["ACTIONS", "SENDS"];

fn table(text: &mut String, name: &str, summary: &str, actions: &[(&str, Sender)]) {
    let mut actions = actions.to_vec();
    actions.sort_unstable_by_key(|(action, _)| *action);
    let _ = write!(text, "\n/// {summary}\npub const {name}: &[(&str, Sender)] = &[\n");
    for (action, sender) in actions {
        let _ = writeln!(text, "    ({action:?}, Sender::{}),", sender.variant());
    }
    text.push_str("];\n");
}
