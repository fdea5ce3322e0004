//! What a server is started in.

use std::process::Command;

/// Variables of its own, and signals that it is to outlive.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    variables: Vec<(String, String)>,
    ignored: Vec<&'static str>,
}

impl Surroundings {
    /// With a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// With a signal that does nothing, by its name without `SIG`.
    #[must_use]
    pub fn ignoring(mut self, signal: &'static str) -> Self {
        self.ignored.push(signal);
        self
    }

    /// The command, to be run in these.
    pub(super) fn around(&self, command: &Command) -> Command {
        let mut around = if self.ignored.is_empty() {
            Command::new(command.get_program())
        } else {
            // What a shell ignores, the program that takes its place does, too.
            let mut shell = Command::new("sh");
            let script = format!("trap '' {}; exec \"$@\"", self.ignored.join(" "));
            shell.args(["-c", &script, "sh"]).arg(command.get_program());
            shell
        };
        around.args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            around.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => around.env(name, value),
                None => around.env_remove(name),
            };
        }
        around.envs(self.variables.iter().map(|(name, value)| (name, value)));
        around
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_outlives_what_is_ignored_and_sees_its_variables() {
        let surroundings = Surroundings::default().ignoring("XFSZ").variable("OF_A_TEST", "seen");
        let mut command = Command::new("sh");
        command.args(["-c", "kill -s XFSZ $$; echo $OF_A_TEST $IT_HAD"]).env("IT_HAD", "kept");
        let output = surroundings.around(&command).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "seen kept\n");
    }
}
