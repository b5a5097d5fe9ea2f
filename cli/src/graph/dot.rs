//! Pictures as input of Graphviz.

use std::fmt::Write as _;

use super::{Edge, Mood, Picture, PictureNode};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = "digraph policy {\n".to_owned();
    text.push_str("  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n");
    // Writing to a String cannot fail.
    let client = escape(&picture.client);
    let _ = writeln!(text, "  start [label=\"{client}\", shape=oval];");
    for node in &picture.nodes {
        let _ = writeln!(text, "  {};", self::node(node));
    }
    let _ = writeln!(text, "  start -> {};", picture.start);
    for edge in &picture.edges {
        let _ = writeln!(text, "  {};", self::edge(edge));
    }
    text.push_str("}\n");
    text
}

fn node(node: &PictureNode) -> String {
    let lines: Vec<String> = node.lines.iter().map(|line| escape(line)).collect();
    let shape = if node.is_rule { "hexagon" } else { "box" };
    let style = match node.mood {
        Mood::Neutral => "",
        Mood::Taken => ", penwidth=2",
        Mood::Untaken => ", color=gray, fontcolor=gray",
        Mood::Unhealthy => ", color=\"#b02a37\", fontcolor=\"#b02a37\"",
    };
    format!(
        "{} [label=\"{}\", shape={shape}{style}]",
        node.id,
        lines.join("\\n")
    )
}

fn edge(edge: &Edge) -> String {
    let style = match edge.mood {
        Mood::Neutral => "",
        Mood::Taken => ", penwidth=2",
        Mood::Untaken => ", style=dashed, color=gray",
        Mood::Unhealthy => ", style=dashed, color=\"#b02a37\"",
    };
    let label = escape(&edge.label);
    format!("{} -> {} [label=\"{label}\"{style}]", edge.from, edge.to)
}

/// Text in double quotes (Graphviz, "The DOT Language": quoted strings).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        assert_eq!(escape("a\"];\n\\b"), "a\\\"]; \\\\b");
    }
}
