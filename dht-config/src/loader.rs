//! Layers of settings, one over the other, and where each value came from.
//!
//! Every layer is judged by itself before it counts: a wrong value is an error even where a stronger layer hides it.

use std::{collections::BTreeMap, fmt, fs, ops::Range, path::PathBuf};

use toml::{Table, Value, de::DeTable};

use crate::{
    ConfigError, Preset, Settings,
    leaves::{self, Leaves, OPTIONS},
};

/// What variables begin with; two underscores part section and key: `DHT_QUERY__ALPHA`.
const PREFIX: &str = "DHT_";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The default.
    Default,
    /// A preset.
    Preset(Preset),
    /// The rules of the Amino network, which came before what the preset says.
    Amino,
    /// A line of a file.
    File {
        /// As it was given.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the program.
    Flag(String),
    /// Set by the program itself.
    Program,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(preset) => write!(f, "preset {preset}"),
            Self::Amino => f.write_str("the Amino network"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
            Self::Program => f.write_str("program"),
        }
    }
}

/// Puts settings together. The order of the calls does not matter, the kind of the layer does.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    preset: Option<(Preset, Source)>,
    files: Vec<File>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

#[derive(Clone, Debug)]
enum File {
    Path(PathBuf),
    Text { name: String, content: String },
}

/// Settings, and where each value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the layers say together.
    pub settings: Settings,
    /// The preset, if one was named.
    pub preset: Option<Preset>,
    sources: BTreeMap<String, Source>,
}

/// One line of `config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The option, such as `query.alpha`.
    pub option: String,
    /// Its value as TOML; `None` where nothing is set and nothing is the default.
    pub value: Option<String>,
    /// Where it came from.
    pub source: &'a Source,
}

impl Loader {
    /// Only defaults so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts from a preset, whatever a file or the environment names.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some((preset, Source::Program));
        self
    }

    /// Reads a file when the settings are loaded. A later file is stronger than an earlier one.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(File::Path(path.into()));
        self
    }

    /// Like a file, from text that somebody else has read.
    pub fn text(mut self, name: impl Into<String>, content: impl Into<String>) -> Self {
        self.files.push(File::Text { name: name.into(), content: content.into() });
        self
    }

    /// Variables, those that begin with `DHT_`. Names without a double underscore are left alone unless they are
    /// an option in all but the underscore, because container platforms make up `DHT_PORT` and the like.
    pub fn environment<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.environment.extend(variables.filter(|(name, _): &(String, String)| name.starts_with(PREFIX)));
        self
    }

    /// The variables of this process that are UTF-8.
    pub fn process_environment(self) -> Self {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        self.environment(std::env::vars_os().filter_map(readable))
    }

    /// An option given as a flag: the flag as the user typed it, the option, and the text of its value; lists with commas.
    pub fn flag(
        mut self,
        flag: impl Into<String>,
        option: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.flags.push((flag.into(), option.into(), value.into()));
        self
    }

    /// Lays the layers over one another and checks the result.
    ///
    /// # Errors
    /// One line that names the place, the option, and what would be right.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::default();
        for file in &self.files {
            layers.file(file)?;
        }
        for (name, value) in &self.environment {
            layers.variable(name, value)?;
        }
        for (flag, option, value) in &self.flags {
            layers.text(option, value, Source::Flag(flag.clone()))?;
        }
        layers.finish(self.preset)
    }
}

/// What the user wrote, the strongest of it.
#[derive(Default)]
struct Layers {
    preset: Option<(Preset, Source)>,
    values: Leaves,
    sources: BTreeMap<String, Source>,
}

impl Layers {
    fn file(&mut self, file: &File) -> Result<(), ConfigError> {
        let (name, content) = match file {
            File::Text { name, content } => (name.clone(), content.clone()),
            File::Path(path) => {
                let content = fs::read_to_string(path)
                    .map_err(|cause| ConfigError::Read { path: path.clone(), cause })?;
                (path.display().to_string(), content)
            }
        };
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            place: place(&name, &content, error.span().unwrap_or_default()),
            message: error.message().replace('\n', ", "),
        };
        let lines = lines(&content).map_err(|error| syntax(&error))?;
        let table: Table = content.parse().map_err(|error| syntax(&error))?;
        for (option, value) in leaves::flatten(&table) {
            let span = lines.get(&option).cloned().unwrap_or_default();
            let place = place(&name, &content, span);
            match value {
                Value::String(preset) if option == "preset" => self.name_preset(&preset, place)?,
                // An empty section says nothing, if it is one.
                Value::Table(section) if section.is_empty() && is_section(&option) => {}
                value => self.set(option, value, place)?,
            }
        }
        Ok(())
    }

    fn variable(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let rest = name.trim_start_matches(PREFIX).to_lowercase();
        let source = Source::Environment(name.to_owned());
        if rest == "preset" {
            return self.name_preset(value, source);
        }
        if let Some((section, key)) = rest.split_once("__") {
            return self.text(&format!("{section}.{key}"), value, source);
        }
        match OPTIONS.keys().find(|option| option.replace('.', "_") == rest) {
            None => Ok(()),
            Some(meant) => Err(ConfigError::Unknown {
                place: source,
                option: rest,
                nearest: Some(format!("{PREFIX}{}", meant.replace('.', "__").to_uppercase())),
            }),
        }
    }

    fn text(&mut self, option: &str, text: &str, source: Source) -> Result<(), ConfigError> {
        if option == "preset" {
            return self.name_preset(text, source);
        }
        known(option, &source)?;
        match leaves::parse(option, text) {
            Ok(value) => self.set(option.to_owned(), value, source),
            Err(expected) => {
                let (option, value) = (option.to_owned(), format!("{text:?}"));
                Err(ConfigError::Value { place: source, option, value, expected })
            }
        }
    }

    fn set(&mut self, option: String, value: Value, source: Source) -> Result<(), ConfigError> {
        known(&option, &source)?;
        if let Err(expected) = leaves::check(&option, &value) {
            return Err(ConfigError::Value { place: source, option, value: value.to_string(), expected });
        }
        self.values.insert(option.clone(), value);
        self.sources.insert(option, source);
        Ok(())
    }

    fn name_preset(&mut self, name: &str, place: Source) -> Result<(), ConfigError> {
        match name.parse() {
            Ok(preset) => self.preset = Some((preset, place)),
            Err(cause) => return Err(ConfigError::Preset { place, cause }),
        }
        Ok(())
    }

    fn finish(self, program: Option<(Preset, Source)>) -> Result<Loaded, ConfigError> {
        let preset = program.or(self.preset);
        let mut all = Self::default();
        if let Some((preset, _)) = &preset {
            let table: Table = preset.text().parse().expect("a test parses every preset");
            for (option, value) in leaves::flatten(&table) {
                all.set(option, value, Source::Preset(*preset))?;
            }
        }
        all.values.extend(self.values);
        all.sources.extend(self.sources);
        let mut settings = leaves::unflatten(&all.values).expect("every option was checked by itself");
        // A preset's bucket size is advice, and on Amino the network's own size is right; an explicit one is refused below.
        let by_preset = matches!(all.sources.get("routing.bucket_size"), Some(Source::Preset(_)));
        if by_preset && settings.is_amino() {
            settings.routing.bucket_size = Settings::AMINO_BUCKET_SIZE;
            all.sources.insert("routing.bucket_size".to_owned(), Source::Amino);
        }
        if let Some((_, source)) = &preset {
            all.sources.insert("preset".to_owned(), source.clone());
        }
        let loaded = Loaded { settings, preset: preset.map(|(preset, _)| preset), sources: all.sources };
        match loaded.settings.validate() {
            Ok(()) => Ok(loaded),
            Err(fault) => Err(ConfigError::Invalid { place: loaded.source(&fault.option).clone(), fault }),
        }
    }
}

impl Loaded {
    /// Where an option's value came from.
    pub fn source(&self, option: &str) -> &Source {
        self.sources.get(option).unwrap_or(&Source::Default)
    }

    /// Every option in the order of its name: the preset first, then section by section.
    pub fn show(&self) -> Vec<Shown<'_>> {
        let values = leaves::flatten(&leaves::table(&self.settings));
        let preset = self.preset.map(|preset| Value::from(preset.name()).to_string());
        let preset = Shown { option: "preset".to_owned(), value: preset, source: self.source("preset") };
        let options = OPTIONS.keys().map(|option| Shown {
            option: option.clone(),
            value: values.get(option).map(Value::to_string),
            source: self.source(option),
        });
        std::iter::once(preset).chain(options).collect()
    }
}

fn known(option: &str, source: &Source) -> Result<(), ConfigError> {
    if OPTIONS.contains_key(option) || is_section(option) {
        return Ok(());
    }
    let (place, option, nearest) = (source.clone(), option.to_owned(), leaves::nearest(option));
    Err(ConfigError::Unknown { place, option, nearest })
}

fn is_section(name: &str) -> bool {
    OPTIONS.keys().any(|option| option.split_once('.').is_some_and(|(section, _)| section == name))
}

/// Where each option stands in the text.
fn lines(content: &str) -> Result<BTreeMap<String, Range<usize>>, toml::de::Error> {
    let mut spans = BTreeMap::new();
    for (section, value) in DeTable::parse(content)?.get_ref() {
        spans.insert(section.get_ref().to_string(), section.span());
        for (key, _) in value.get_ref().as_table().into_iter().flatten() {
            spans.insert(format!("{}.{}", section.get_ref(), key.get_ref()), key.span());
        }
    }
    Ok(spans)
}

fn place(name: &str, content: &str, span: Range<usize>) -> Source {
    let before = content.get(..span.start).unwrap_or_default();
    Source::File { name: name.to_owned(), line: 1 + before.matches('\n').count() }
}
