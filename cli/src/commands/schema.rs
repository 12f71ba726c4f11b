//! `toprung schema` and `toprung completions`

use crate::args::Arguments;
use crate::errors::Error;
use crate::exit::Exit;
use crate::output;
use clap::CommandFactory as _;

/// Prints the JSON Schema of the experiment file.
pub(super) fn print() -> Result<Exit, Error> {
    output::print_json(&toprung_config::schema())?;
    Ok(Exit::Ok)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit, Error> {
    output::print(&script(shell))?;
    Ok(Exit::Ok)
}

fn script(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "toprung", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_has_a_script_with_the_commands() {
        for shell in clap_complete::Shell::value_variants() {
            assert!(script(*shell).contains("completions"), "{shell}");
        }
    }
}
