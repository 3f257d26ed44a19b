//! Java programs from Maven Central, with everything they need, in the tools' cache.

use crate::process::{Run, cache_dir, which};
use anyhow::{Context, bail};
use std::fs;
use std::path::PathBuf;

const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
const OLDEST_JAVA: u32 = 17;

/// A program: `group:artifact:version` of what it is made of; the first gives it its name and version.
pub struct Program {
    /// The folder in the cache.
    pub name: &'static str,
    /// What is fetched, with all it depends on.
    pub artifacts: &'static [&'static str],
}

impl Program {
    /// The class path, once everything is there.
    pub fn class_path(&self) -> anyhow::Result<String> {
        let home = cache_dir()?.join("tools").join(self.name);
        let jars = home.join("lib");
        if !jars.is_dir() {
            self.fetch(&home, &jars)?;
        }
        Ok(jars.join("*").display().to_string())
    }

    fn fetch(&self, home: &PathBuf, jars: &PathBuf) -> anyhow::Result<()> {
        if which("mvn").is_none() {
            bail!("Maven is missing: install it (Debian: apt install maven; macOS: brew install maven)");
        }
        fs::create_dir_all(home)?;
        let pom = home.join("pom.xml");
        fs::write(&pom, self.pom()?)?;
        // What was fetched in part must not look whole.
        let part = home.join("part");
        let _ = fs::remove_dir_all(&part);
        Run::new("mvn")
            .args(["--quiet", "--batch-mode", "-Dstyle.color=never", "--file"])
            .arg(&pom)
            .arg(DEPENDENCY_PLUGIN)
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", part.display()))
            .step(&format!("fetching {} (under a minute, once)", self.name))?;
        fs::rename(&part, jars).context("the fetched jars cannot be moved")
    }

    fn pom(&self) -> anyhow::Result<String> {
        let mut pom = String::from(
            "<project><modelVersion>4.0.0</modelVersion><groupId>qgx</groupId><artifactId>services</artifactId>\
             <version>1</version><packaging>pom</packaging><dependencies>",
        );
        for artifact in self.artifacts {
            let [group, name, version] = artifact.split(':').collect::<Vec<_>>()[..] else {
                bail!("{artifact} is not group:artifact:version");
            };
            pom += &format!(
                "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
                 <version>{version}</version></dependency>"
            );
        }
        Ok(pom + "</dependencies></project>")
    }
}

/// Checks for a JDK that is new enough.
pub fn check_java() -> anyhow::Result<()> {
    const REMEDY: &str =
        "install a JDK (Debian: apt install openjdk-17-jdk-headless; macOS: brew install openjdk@17)";
    if which("java").is_none() || which("javac").is_none() {
        bail!("Java {OLDEST_JAVA} is missing: {REMEDY}");
    }
    let told = Run::new("java").arg("--version").output()?;
    match major(&told) {
        Some(major) if major < OLDEST_JAVA => bail!("Java {major} is too old: {REMEDY}"),
        _ => Ok(()),
    }
}

/// The 17 of `openjdk 17.0.15 2025-04-15`.
fn major(told: &str) -> Option<u32> {
    told.split_whitespace().nth(1)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_java_s_version() {
        assert_eq!(major("openjdk 17.0.15 2025-04-15\nOpenJDK Runtime…"), Some(17));
        assert_eq!(major("java 21 2023-09-19 LTS"), Some(21));
        assert_eq!(major("?"), None);
    }
}
