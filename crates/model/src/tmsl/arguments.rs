//! Properties of a command, taken one by one; what nobody took is refused by name.

use evercube_base::{Error, Result};
use serde_json::{Map, Value as Json};

/// The properties of one command, or of an object inside a command.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// What is read, for errors: `refresh`, `refresh.objects[0]`.
    pub place: String,
    left: Vec<(&'a str, &'a Json)>,
}

impl<'a> Arguments<'a> {
    pub fn of(value: &'a Json, place: impl Into<String>) -> Result<Self> {
        let place = place.into();
        match value {
            Json::Object(map) => Self::of_map(map, place),
            _ => Err(Error::invalid(format!("'{place}' must be an object with properties"))),
        }
    }

    fn of_map(map: &'a Map<String, Json>, place: String) -> Result<Self> {
        let left: Vec<(&str, &Json)> = map.iter().map(|(k, v)| (k.as_str(), v)).collect();
        for (i, (key, _)) in left.iter().enumerate() {
            if left.iter().take(i).any(|(k, _)| k.eq_ignore_ascii_case(key)) {
                return Err(Error::invalid(format!("'{place}' gives the property '{key}' twice")));
            }
        }
        Ok(Self { place, left })
    }

    /// Takes a property; an explicit null counts as not given.
    pub fn take(&mut self, name: &str) -> Option<&'a Json> {
        let index = self.left.iter().position(|(k, _)| k.eq_ignore_ascii_case(name))?;
        let (_, value) = self.left.remove(index);
        (!value.is_null()).then_some(value)
    }

    /// Takes the first property left for which `choose` says yes.
    pub fn take_first<T>(
        &mut self,
        choose: impl Fn(&str) -> Option<T>,
    ) -> Option<(T, &'a str, &'a Json)> {
        let found = self.left.iter().enumerate().find_map(|(i, (k, _))| choose(k).map(|t| (i, t)));
        let (index, chosen) = found?;
        let (key, value) = self.left.remove(index);
        Some((chosen, key, value))
    }

    pub fn require(&mut self, name: &str) -> Result<&'a Json> {
        self.take(name).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' needs the property '{name}', which is missing",
                self.place
            ))
        })
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        let place = format!("{}.{name}", self.place);
        self.take(name).map(|value| text(value, &place)).transpose()
    }

    /// Text that may not be absent or empty.
    pub fn required_text(&mut self, name: &str) -> Result<String> {
        let place = format!("{}.{name}", self.place);
        let text = text(self.require(name)?, &place)?;
        if text.trim().is_empty() {
            return Err(Error::invalid(format!("'{place}' must not be empty")));
        }
        Ok(text)
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value {
            Json::Bool(b) => Ok(Some(*b)),
            Json::String(t) if t.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Json::String(t) if t.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(self.wrong(name, "true or false", value)),
        }
    }

    /// A whole number of at least one.
    pub fn count(&mut self, name: &str) -> Result<Option<u32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match value {
            Json::Number(n) => n.as_u64(),
            Json::String(t) => t.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => Err(self.wrong(name, "a whole number of at least 1", value)),
        }
    }

    pub fn list(&mut self, name: &str) -> Result<Option<&'a [Json]>> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items)),
            Some(value) => Err(self.wrong(name, "a list", value)),
        }
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Json) -> Error {
        Error::invalid(format!("'{}.{name}' must be {wanted}, but it is {value}", self.place))
    }

    /// Every property was taken, or the first that was not is refused.
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((key, _)) => Err(Error::invalid(format!(
                "'{}' has no property '{key}'; remove it or correct its name",
                self.place
            ))),
        }
    }
}

/// Text, also as a list of lines.
pub(super) fn text(value: &Json, place: &str) -> Result<String> {
    let lines = match value {
        Json::String(t) => return Ok(t.clone()),
        Json::Array(lines) => lines.iter().map(Json::as_str).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    match lines {
        Some(lines) => Ok(lines.join("\n")),
        None => Err(Error::invalid(format!("'{place}' must be text or a list of lines"))),
    }
}
