//! Defaults, file, environment and flags, one over the other.

use super::variables::{VARIABLES, Variable};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a value comes from; a later one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The list of settings.
    Default,
    /// `qgx.toml`.
    File(PathBuf),
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A setting that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which setting, as its origin calls it: `QGX_ROLES`, `roles`, `--roles`.
    pub name: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Every setting's value as text, and where it comes from.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
}

/// What the layers are made of; the environment and the file are handed in, so that tests can.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The file named on the command line or in `QGX_CONFIG`: it must exist.
    pub config: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Flags: key and value.
    pub flags: Vec<(String, String)>,
}

impl Given {
    /// From the process's own environment.
    pub fn from_process(config: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { config, env, flags }
    }
}

impl Layers {
    /// Lays them over each other. What is wrong goes to `problems`, and the layer below holds.
    pub fn read(given: &Given, problems: &mut Vec<Problem>) -> Self {
        let mut layers = Self {
            values: VARIABLES.iter().map(|v| (v.key, (v.default.to_owned(), Origin::Default))).collect(),
        };
        let named = given.config.clone().or_else(|| given.env.get("QGX_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from("qgx.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => layers.lay_file(&path, &text, problems),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => problems.push(Problem {
                name: path.display().to_string(),
                message: format!("cannot be read ({error}); correct --config or QGX_CONFIG"),
            }),
        }
        for variable in VARIABLES {
            if let Some(value) = given.env.get(&variable.env()) {
                layers.values.insert(variable.key, (value.clone(), Origin::Environment));
            }
        }
        for (key, value) in &given.flags {
            match Variable::find(key) {
                Some(variable) => {
                    layers.values.insert(variable.key, (value.clone(), Origin::Flag));
                }
                None => problems.push(unknown("--set ", key)),
            }
        }
        layers
    }

    fn lay_file(&mut self, path: &Path, text: &str, problems: &mut Vec<Problem>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let error: toml::de::Error = error;
                problems.push(Problem {
                    name: path.display().to_string(),
                    message: format!("is not TOML: {}", error.message()),
                });
                return;
            }
        };
        for (key, value) in table {
            let Some(variable) = Variable::find(&key) else {
                problems.push(unknown(&format!("{}: ", path.display()), &key));
                continue;
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                toml::Value::Array(items) if items.iter().all(toml::Value::is_str) => {
                    items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
                }
                _ => {
                    problems.push(Problem {
                        name: format!("{}: {key}", path.display()),
                        message:
                            "has the wrong type; give a text, a whole number, true or false, or a list of \
                                  texts"
                                .to_owned(),
                    });
                    continue;
                }
            };
            self.values.insert(variable.key, (text, Origin::File(path.to_owned())));
        }
    }

    /// A setting's text.
    ///
    /// # Panics
    /// Where the key is not in the list.
    pub fn text(&self, key: &str) -> &str {
        self.entry(key).0.trim()
    }

    /// The name of a setting as the place it comes from calls it.
    pub fn name(&self, key: &str) -> String {
        match self.entry(key).1 {
            Origin::Flag => format!("--{}", key.replace('_', "-")),
            Origin::File(ref path) => format!("{}: {key}", path.display()),
            Origin::Default | Origin::Environment => {
                format!("QGX_{}", key.to_ascii_uppercase())
            }
        }
    }

    /// Every setting with its value and origin, in the order of the list.
    pub fn all(&self) -> impl Iterator<Item = (&'static Variable, &str, &Origin)> {
        VARIABLES.iter().map(|variable| {
            let (value, origin) = self.entry(variable.key);
            (variable, value.as_str(), origin)
        })
    }

    fn entry(&self, key: &str) -> &(String, Origin) {
        self.values.get(key).expect("every key asked for stands in the list of settings")
    }
}

fn unknown(place: &str, key: &str) -> Problem {
    let near = VARIABLES
        .iter()
        .map(|variable| (distance(key, variable.key), variable.key))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let message = match near {
        Some((_, key)) => format!("is no setting; did you mean {key}?"),
        None => "is no setting; `qgx config --reference` lists all".to_owned(),
    };
    Problem { name: format!("{place}{key}"), message }
}

/// Levenshtein distance, for the hint at a mistyped name.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
