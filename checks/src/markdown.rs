//! What the checks look at in a Markdown page.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The parts of a page that can be false.
#[derive(Debug, Default)]
pub struct Page {
    /// Destinations of links and images, as written.
    pub links: Vec<String>,
    /// Anchors of the headings, as GitHub makes them.
    pub anchors: Vec<String>,
    /// Fenced code blocks.
    pub blocks: Vec<Block>,
}

/// A fenced code block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence: `console`, `mermaid`, …
    pub language: String,
    /// The text between the fences.
    pub text: String,
}

impl Page {
    /// Reads the text of a page.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut block: Option<Block> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.anchors
                        .extend(heading.take().map(|title| anchor(&title)));
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    let (language, text) = (language.into_string(), String::new());
                    block = Some(Block { language, text });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(text) | Event::Code(text) => {
                    let into = block
                        .as_mut()
                        .map(|block| &mut block.text)
                        .or(heading.as_mut());
                    if let Some(into) = into {
                        into.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// The commands of the `console` blocks that start with `$ program `, each
    /// with the lines that are shown as its output.
    pub fn commands(&self, program: &str) -> Vec<Command> {
        let console = self
            .blocks
            .iter()
            .filter(|block| block.language == "console");
        let commands = console.flat_map(|block| commands(&block.text));
        commands
            .filter(|command| command.words.first().is_some_and(|w| w == program))
            .collect()
    }
}

/// A command of a page, with what it is said to print.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments. Quoting is not understood.
    pub words: Vec<String>,
    /// The lines up to the next command or the end of the block.
    pub output: Vec<String>,
}

fn commands(block: &str) -> Vec<Command> {
    let mut found: Vec<Command> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            // What follows ` # ` says why, and is not passed on.
            let command = command.split(" # ").next().unwrap_or_default();
            let words = command.split_whitespace().map(str::to_owned).collect();
            found.push(Command {
                words,
                output: Vec::new(),
            });
        } else if let Some(last) = found.last_mut() {
            last.output.push(line.to_owned());
        }
    }
    found
}

/// The anchor of a heading: lower case, hyphens for spaces, no punctuation.
fn anchor(title: &str) -> String {
    let lower = title.trim().to_lowercase();
    let kept = lower
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_links_anchors_and_commands() {
        let page = Page::parse(
            "# The `dig` side, in short\n[a](b.md#c)\n\n```console\n$ dig +short x # why\n192.0.2.1\n$ make run\n```\n",
        );
        assert_eq!(page.links, ["b.md#c"]);
        assert_eq!(page.anchors, ["the-dig-side-in-short"]);
        let dig = page.commands("dig");
        assert_eq!(dig.len(), 1);
        assert_eq!(dig[0].words, ["dig", "+short", "x"]);
        assert_eq!(dig[0].output, ["192.0.2.1"]);
    }
}
