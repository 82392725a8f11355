//! The enumerations that map a frame's action to its type.

use std::fmt::Write as _;

use quote::{format_ident, quote};

use super::{Action, Emitter, Folder, Send, source::Items, words::doc};
use crate::{GenerateError, edition::Sender};

impl Emitter<'_> {
    /// One enumeration for each kind of frame and each direction of the edition.
    pub(super) fn dispatch(
        &mut self,
        actions: &[Action<'_>],
        sends: &[Send<'_>],
    ) -> Result<Folder, GenerateError> {
        let title = self.edition.title;
        let mut folder = Folder::new("dispatch");
        let by = |sender: Sender| {
            let sent = actions.iter().filter(move |action| [sender, Sender::Both].contains(&action.sender));
            sent.map(|action| (action.name, action.request.name.as_str())).collect::<Vec<_>>()
        };
        for (name, sender) in [("StationCall", Sender::ChargingStation), ("CsmsCall", Sender::Csms)] {
            let summary = format!("A CALL of {title} from {}, by its action.", sender.words());
            self.enumeration_of(&mut folder, name, &summary, "ACTIONS", &by(sender))?;
        }
        let results: Vec<_> =
            actions.iter().map(|action| (action.name, action.response.name.as_str())).collect();
        let summary = format!("A CALLRESULT of {title}, by the action of the CALL that it answers.");
        self.enumeration_of(&mut folder, "CallResult", &summary, "ACTIONS", &results)?;
        for (name, sender) in [("StationSend", Sender::ChargingStation), ("CsmsSend", Sender::Csms)] {
            let sent: Vec<_> = sends
                .iter()
                .filter(|send| [sender, Sender::Both].contains(&send.sender))
                .map(|send| (send.name, send.message.name.as_str()))
                .collect();
            if !sent.is_empty() {
                let summary = format!("A SEND of {title} from {}, by its action.", sender.words());
                self.enumeration_of(&mut folder, name, &summary, "SENDS", &sent)?;
            }
        }
        Ok(folder)
    }

    /// `variants` are actions, each with the type of its payload.
    fn enumeration_of(
        &mut self,
        folder: &mut Folder,
        name: &str,
        summary: &str,
        table: &str,
        variants: &[(&str, &str)],
    ) -> Result<(), GenerateError> {
        if variants.is_empty() {
            return Ok(());
        }
        let mut items = Items::default();
        let ident = format_ident!("{name}");
        let docs = doc(&[summary.to_owned()]);
        let listed = variants.iter().map(|(action, payload)| {
            let docs = doc(&[format!("`{action}`.")]);
            let (action, payload) = (format_ident!("{action}"), format_ident!("{payload}"));
            quote!(#docs #action(#payload))
        });
        items.push(quote! {
            #docs
            #[derive(Clone, Debug, PartialEq, Eq, Hash)]
            #[allow(clippy::large_enum_variant, reason = "made for one frame and taken apart at once")]
            pub enum #ident { #(#listed,)* }
        })?;
        // An action of another kind of frame is distinguished from an unknown action.
        let other = match table {
            "SENDS" => ", not ACTIONS",
            _ if !self.edition.sends.is_empty() => ", not SENDS",
            _ => "",
        };
        for table in [table, other.trim_start_matches(", not ")] {
            items.mention(table);
        }
        let mut body = format!("    {name}: {table}{other} {{\n");
        for (action, payload) in variants {
            let _ = writeln!(body, "        {action}({payload}),");
        }
        body.push_str("    }\n");
        items.push_macro("dispatch", &body);
        self.module(folder, name, "the names of all files", vec![name.to_owned()], items)
    }
}
