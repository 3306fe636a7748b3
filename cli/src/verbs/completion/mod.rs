//! `hull completion`: scripts that teach a shell the verbs and flags, and to ask for names.
//!
//! Verbs and flags are written into the script. Containers and images come and go, so for those
//! the script calls `hull complete-names` with the words before the cursor ([`names`]); where that
//! has nothing to say, the script goes on with what it knows by itself.

pub(crate) mod names;

use std::io::Write;

use clap_complete::Shell;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Goes around the function that bash's script defines.
const BASH: &str = r#"
_hull_or_names() {
    local line="${COMP_LINE:0:COMP_POINT}" cur names name
    local -a words
    cur="${line##*[[:space:]]}"
    if [[ $cur != -* ]]; then
        read -ra words <<< "${line%"$cur"}"
        names="$(hull complete-names -- "${words[@]:1}" 2>/dev/null)"
        if [[ -n $names ]]; then
            COMPREPLY=()
            # bash cuts a word at its colons: what is before the last is there already.
            local there=""
            [[ $COMP_WORDBREAKS == *:* ]] && there="${cur%"${cur##*:}"}"
            while IFS= read -r name; do
                [[ $name == "$cur"* ]] && COMPREPLY+=("${name#"$there"}")
            done <<< "$names"
            return 0
        fi
    fi
    _hull "$@"
}
complete -F _hull_or_names -o bashdefault -o default hull
"#;

/// Where zsh's script hands its function over.
const ZSH_END: &str = "\nif [ \"$funcstack[1]\" = \"_hull\" ]; then\n";
/// Goes around the function that zsh's script defines, in place of its end.
const ZSH: &str = r#"
_hull_or_names() {
    local -a names
    if [[ ${words[CURRENT]} != -* ]]; then
        names=(${(f)"$(hull complete-names -- ${words[2,CURRENT-1]} 2>/dev/null)"})
        if (( $#names )); then
            compadd -a names
            return 0
        fi
    fi
    _hull "$@"
}

compdef _hull_or_names hull
if [ "$funcstack[1]" = "_hull" ]; then
    _hull_or_names "$@"
fi
"#;

const FISH: &str = r#"
complete -c hull -f -a '(hull complete-names -- (commandline -opc)[2..-1] 2>/dev/null)'
"#;

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    std::io::stdout().write_all(script(args.shell).as_bytes())?;
    Ok(0)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::command(), "hull", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script.push_str(BASH),
        Shell::Zsh => {
            if let Some(end) = script.rfind(ZSH_END) {
                script.truncate(end);
                script.push_str(ZSH);
            }
        }
        Shell::Fish => script.push_str(FISH),
        _ => {}
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_ask_for_names_and_know_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("hull complete-names -- "), "{shell}");
            assert!(script.contains("container"), "{shell}");
        }
        // Its end is replaced: a second hand-over would complete everything twice.
        assert_eq!(script(Shell::Zsh).matches("compdef _hull").count(), 1);
    }
}
