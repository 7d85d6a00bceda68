//! A page as a script.

/// The blocks of a Markdown text that are marked `sh`, in order. A line that begins with `!` must fail; `set -e` alone would let it
/// pass either way.
pub fn script(text: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            line => match line.strip_prefix("! ") {
                Some(refused) => {
                    script +=
                        &format!("if {refused}; then echo 'a command succeeded that should not' >&2; exit 1; fi\n")
                }
                None => script += &format!("{line}\n"),
            },
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_fail_is_checked() {
        let failed = |command: &str| {
            let script = format!("set -e\n{}", script(&format!("```sh\n! {command}\n```\n")));
            !std::process::Command::new("bash").args(["-c", &script]).output().unwrap().status.success()
        };
        assert!(failed("true"));
        assert!(!failed("false"));
    }

    #[test]
    fn only_shell_blocks_are_taken() {
        let text = "# Page\n```sh\none\n```\ntext\n```properties\nkey=value\n```\n```sh\ntwo\nthree\n```\n";
        assert_eq!(script(text), "one\ntwo\nthree\n");
    }
}
