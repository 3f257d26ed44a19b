//! The same services by Docker Compose, where an engine answers.

use super::Command;
use crate::process::{Run, root, which};
use std::fs;
use std::path::PathBuf;

const FILE: &str = include_str!("compose.yaml");

/// Whether a Docker engine answers.
pub fn answers() -> bool {
    which("docker").is_some() && Run::new("docker").args(["compose", "ls", "--quiet"]).output().is_ok()
}

/// Runs the command on containers.
pub fn run(command: &Command) -> anyhow::Result<()> {
    let file = write_file()?;
    let compose = |quorum: bool| {
        let mut run = Run::new("docker");
        run.args(["compose", "--file"]).arg(&file);
        run.args(["--profile", if quorum { "quorum" } else { "single" }]);
        run
    };
    match command {
        Command::Up { names, nodes } => {
            let quorum = nodes.is_some_and(|nodes| nodes > 1);
            let mut run = compose(quorum);
            run.args(["up", "--detach", "--wait"]).args(services(names, quorum));
            run.step("starting containers (minutes where images are fetched)")?;
            println!("{}", if quorum { QUORUM } else { SINGLE });
            println!("{OTHERS}");
            Ok(())
        }
        Command::Down { names, data } => {
            for quorum in [false, true] {
                let mut run = compose(quorum);
                run.args(["rm", "--stop", "--force"]);
                if *data {
                    run.arg("--volumes");
                }
                run.args(services(names, quorum)).foreground()?;
            }
            Ok(())
        }
        Command::Status => compose(true).args(["ps", "--all"]).foreground(),
        Command::Logs { name, lines, follow } => {
            let mut run = compose(true);
            run.args(["logs", "--tail", &lines.to_string()]);
            if *follow {
                run.arg("--follow");
            }
            run.args(services(std::slice::from_ref(name), true)).foreground()
        }
    }
}

const SINGLE: &str = "export QGX_TEST_KAFKA='127.0.0.1:19092'";
const QUORUM: &str = "export QGX_TEST_KAFKA='127.0.0.1:19092,127.0.0.1:19095,127.0.0.1:19098'";
const OTHERS: &str = "export QGX_TEST_OPENSEARCH='http://127.0.0.1:19200'\n\
                      export QGX_TEST_MYSQL='mysql://qgx:qgx@127.0.0.1:13306/qgx'\n\
                      export QGX_TEST_POSTGRES='postgres://qgx:qgx@127.0.0.1:15432/postgres'";

fn write_file() -> anyhow::Result<PathBuf> {
    let home = root().join("target/services");
    fs::create_dir_all(&home)?;
    let file = home.join("compose.yaml");
    fs::write(&file, FILE)?;
    Ok(file)
}

/// Kafka is one container or three.
fn services(names: &[String], quorum: bool) -> Vec<String> {
    let kafka: &[&str] = if quorum { &["kafka-1", "kafka-2", "kafka-3"] } else { &["kafka"] };
    let expand = |name: &String| match name.as_str() {
        "kafka" => kafka.iter().map(|it| (*it).to_owned()).collect(),
        _ => vec![name.clone()],
    };
    names.iter().flat_map(expand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], quorum: bool, expect: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = services(&names, quorum);
        assert_eq!(found, expect);
        for name in found {
            assert!(FILE.contains(&format!("\n  {name}:")), "compose.yaml has no {name}");
        }
    }

    #[test]
    fn names_become_containers() {
        check(&[], true, &[]);
        check(&["kafka", "mysql"], false, &["kafka", "mysql"]);
        check(&["kafka", "postgres"], true, &["kafka-1", "kafka-2", "kafka-3", "postgres"]);
        check(&["opensearch"], false, &["opensearch"]);
    }
}
