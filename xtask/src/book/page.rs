//! A page of Markdown: its headings, links and code.

/// A parsed page.
pub(crate) struct Page {
    /// Its path in the checkout.
    pub(crate) name: String,
    /// The names by which links lead to its headings.
    pub(crate) anchors: Vec<String>,
    /// The targets of its links, with their lines.
    pub(crate) links: Vec<(usize, String)>,
    /// The commands that it shows, each on one line, with their lines.
    pub(crate) commands: Vec<(usize, String)>,
}

impl Page {
    pub(crate) fn new(name: String, text: String) -> Self {
        let mut page = Self { name, anchors: Vec::new(), links: Vec::new(), commands: Vec::new() };
        // In a block of code: whether the block contains commands that a person types.
        let mut block = None;
        let mut continued: Option<(usize, String)> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if let Some(language) = line.trim_start().strip_prefix("```") {
                block = match block {
                    Some(_) => None,
                    None => Some(["sh", "console"].contains(&language.trim())),
                };
                continue;
            }
            match block {
                Some(true) => {
                    let (start, mut command) = continued.take().unwrap_or((number, String::new()));
                    match line.trim_end().strip_suffix('\\') {
                        Some(part) => {
                            command.push_str(part);
                            continued = Some((start, command));
                        }
                        None => {
                            command.push_str(line);
                            page.commands.push((start, command));
                        }
                    }
                }
                Some(false) => {}
                None => page.read_prose(number, line),
            }
        }
        page
    }

    fn read_prose(&mut self, number: usize, line: &str) {
        if let Some(heading) = line.strip_prefix('#') {
            self.anchors.push(anchor(heading.trim_start_matches('#')));
        }
        // Every second part is between backticks.
        let mut prose = String::new();
        for (index, part) in line.split('`').enumerate() {
            if index % 2 == 1 {
                self.commands.push((number, part.to_owned()));
                prose.push_str("code");
            } else {
                prose.push_str(part);
            }
        }
        for (position, _) in prose.match_indices("](") {
            let target = prose.get(position + 2..).and_then(|rest| rest.split(')').next());
            self.links.extend(target.map(|target| (number, target.to_owned())));
        }
        if let Some(target) = prose.strip_prefix("{{#include ") {
            self.links.push((number, target.trim_end_matches('}').trim().to_owned()));
        }
    }
}

/// The name by which links lead to a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
        _ => None,
    });
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_links_and_commands_are_found() {
        let text = "# The `a` page, first\nSee [b](b.md#c) and `hsm list`.\n```sh\nhsm init \\\n  --label x\n```\n\
                    ```toml\n# no heading\n```\n{{#include ../C.md}}\n";
        let page = Page::new("a.md".to_owned(), text.to_owned());
        assert_eq!(page.anchors, ["the-a-page-first"]);
        assert_eq!(page.links, [(2, "b.md#c".to_owned()), (10, "../C.md".to_owned())]);
        let commands = [(1, "a"), (2, "hsm list"), (4, "hsm init   --label x")];
        assert_eq!(page.commands, commands.map(|(line, command)| (line, command.to_owned())));
    }
}
