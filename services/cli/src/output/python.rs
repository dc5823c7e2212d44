//! Values as Python writes them: scripts that read the earlier client's tables parse them so.

use serde_json::Value;

/// `str(value)`.
pub(crate) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`; the keys of objects are sorted.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| format!("{}: {}", quote(key), repr(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// Names in brackets, as in Python's message about a list.
pub(crate) fn repr_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(quote).collect();
    format!("[{}]", names.join(", "))
}

fn quote(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(mark);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == mark => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_read_as_python_literals() {
        let value = json!([{"name": "it's", "id": 1, "on": true, "none": null, "f": 1.5}]);
        assert_eq!(
            repr(&value),
            r#"[{'f': 1.5, 'id': 1, 'name': "it's", 'none': None, 'on': True}]"#
        );
    }

    #[test]
    fn quotes_and_control_characters_are_escaped() {
        assert_eq!(repr(&json!("a'b\"c\\d\n\u{7}")), r#"'a\'b"c\\d\n\x07'"#);
    }

    #[test]
    fn a_text_stands_without_quotes_at_the_top() {
        assert_eq!(str(&json!("x y")), "x y");
        assert_eq!(str(&json!(null)), "None");
        assert_eq!(repr_list(["ID", "Name"]), "['ID', 'Name']");
    }
}
