//! What somebody typed wrongly, said for people: the field, what was probably meant, and no passwords.

/// `inner` seen from outside: `minute` in `jobs[0].trigger` is `jobs[0].trigger.minute`.
pub(crate) fn join(outer: &str, inner: &str) -> String {
    if outer.is_empty() || inner.is_empty() || inner.starts_with('[') {
        format!("{outer}{inner}")
    } else {
        format!("{outer}.{inner}")
    }
}

/// What stands before the password of sentinels in a URL.
const SENTINEL_PASSWORD: &str = "sentinel_password=";

/// The text with whatever stands between `://` and the `@` of a URL replaced by `***`.
///
/// A password may hold any character, so everything up to the last `@` of the line goes: a little too
/// much is better than a part of a password. So does what follows a `sentinel_password=`.
pub(crate) fn without_passwords(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let Some(scheme) = line.find("://") else {
            return line.to_owned();
        };
        let (head, tail) = line.split_at(scheme + 3);
        let tail = match tail.rfind('@') {
            Some(at) => format!("***{}", &tail[at..]),
            None => tail.to_owned(),
        };
        match tail.split_once(SENTINEL_PASSWORD) {
            Some((tail, _)) => format!("{head}{tail}{SENTINEL_PASSWORD}***"),
            None => format!("{head}{tail}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The name that a mistyped one probably meant.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&typed, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// What serde says, said for people; and the key that it did not know, if that is it.
///
/// A value of the wrong type is repeated by serde, and may be a URL with a password: it is left out.
/// Serde hands unknown names over only as text (``unknown field `a`, expected one of `b`, `c` ``),
/// a form that has not changed since its first release. Any other message is left as it is.
pub(crate) fn explain(message: &str) -> (String, Option<String>) {
    let kind = if message.starts_with("unknown field `") {
        "key"
    } else if message.starts_with("unknown variant `") {
        "value"
    } else {
        return (without_passwords(message), None);
    };
    let mut quoted = message.split('`').skip(1).step_by(2);
    let typed = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let mut text = match nearest(typed, known.iter().copied()) {
        Some(name) => format!("unknown {kind} `{typed}`: did you mean `{name}`?"),
        None => format!("unknown {kind} `{typed}`"),
    };
    if !known.is_empty() {
        text.push_str(&format!(" (known here: {})", known.join(", ")));
    }
    (text, (kind == "key").then(|| typed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_stranger_is_not() {
        let (text, key) =
            explain("unknown field `concurency`, expected one of `node`, `concurrency`");
        assert_eq!(
            text,
            "unknown key `concurency`: did you mean `concurrency`? (known here: node, concurrency)"
        );
        assert_eq!(key.as_deref(), Some("concurency"));
        let (text, key) = explain("unknown variant `fortnight`, expected `date` or `cron`");
        assert_eq!(text, "unknown value `fortnight` (known here: date, cron)");
        assert_eq!(key, None);
        assert_eq!(
            explain("missing field `id`").0,
            "missing field `id`".to_owned()
        );
    }

    #[test]
    fn a_password_of_any_characters_is_left_out() {
        let (text, _) = explain("string \"redis://:a b/c@d?`'@host:1/0\" is wrong");
        assert!(text.contains("redis://***@host:1/0"), "{text}");
        assert_eq!(without_passwords("a@b :// c"), "a@b :// c");
    }
}
