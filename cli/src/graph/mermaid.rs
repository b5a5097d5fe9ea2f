//! Pictures as Mermaid flowcharts.

use std::fmt::Write as _;

use super::{Edge, Mood, Picture, PictureNode};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = "flowchart TD\n".to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  start([\"{}\"])", escape(&picture.client));
    for node in &picture.nodes {
        let _ = writeln!(text, "  {}", self::node(node));
    }
    let _ = writeln!(text, "  start --> {}", picture.start);
    for edge in &picture.edges {
        let _ = writeln!(text, "  {}", self::edge(edge));
    }
    text.push_str(&styles(picture));
    text
}

fn node(node: &PictureNode) -> String {
    let lines: Vec<String> = node.lines.iter().map(|line| escape(line)).collect();
    let id = &node.id;
    let class = match node.mood {
        Mood::Neutral | Mood::Taken => "",
        Mood::Untaken => ":::untaken",
        Mood::Unhealthy => ":::unhealthy",
    };
    let (head, rest) = lines.split_first().map_or(("", &[][..]), |(h, r)| (h, r));
    let mut label = format!("<b>{head}</b>");
    for line in rest {
        let _ = write!(label, "<br>{line}");
    }
    if node.is_rule {
        format!("{id}{{{{\"{label}\"}}}}{class}")
    } else {
        format!("{id}[\"{label}\"]{class}")
    }
}

fn edge(edge: &Edge) -> String {
    let arrow = match edge.mood {
        Mood::Neutral => "-->",
        Mood::Taken => "==>",
        Mood::Untaken | Mood::Unhealthy => "-.->",
    };
    let Edge { from, to, .. } = edge;
    if edge.label.is_empty() {
        return format!("{from} {arrow} {to}");
    }
    format!("{from} {arrow}|\"{}\"| {to}", escape(&edge.label))
}

/// The classes in use.
fn styles(picture: &Picture) -> String {
    let used = |mood| picture.nodes.iter().any(|node| node.mood == mood);
    let mut text = String::new();
    if used(Mood::Untaken) {
        text.push_str("  classDef untaken opacity:0.5\n");
    }
    if used(Mood::Unhealthy) {
        text.push_str("  classDef unhealthy fill:#f8d7da,stroke:#b02a37,color:#58151c\n");
    }
    text
}

/// Text in double quotes, as entity codes where it would end the quotes or be
/// taken for markup (Mermaid, "Special characters that break syntax").
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("#quot;"),
            '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '*' | '_' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
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
        assert_eq!(
            escape("a\"] --> <b>\n#1;"),
            "a#quot;] --#62; #60;b#62; #35;1#59;"
        );
        assert_eq!(escape("eu-west 192.0.2.1"), "eu-west 192.0.2.1");
    }
}
